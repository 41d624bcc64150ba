"""Evaluation: matches predictions to the labels of packed shards and computes the metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from shards.manifest import read_manifest
from vocscore.config.evaluating import BootstrapConfig, MetricsConfig
from vocscore.errors import EvalError, RecordError
from vocscore.evaluation.bootstrap import bootstrap
from vocscore.evaluation.calibration import reliability
from vocscore.evaluation.difficult import apply_difficult
from vocscore.evaluation.eval_report import (
    ComparedDecisions,
    EvalReport,
    SplitCounts,
    Training,
)
from vocscore.evaluation.judged import choose_images
from vocscore.evaluation.labeled import NO_ROW
from vocscore.evaluation.metrics import report_decided
from vocscore.evaluation.mistakes import missed_together
from vocscore.evaluation.predictions import read_predictions
from vocscore.evaluation.seen import place_of_record
from vocscore.models.probabilities import decide
from vocscore.records.score_record import read_record

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from vocscore.evaluation.judged import Judged
    from vocscore.evaluation.predictions import Predictions
    from vocscore.records.score_record import ModelFacts


def evaluate(
    predictions: Path,
    shards: Path,
    *,
    split: str | None,
    threshold: float | None,
    difficult: str = MetricsConfig.difficult,
    resamples: int = 0,
    seed: int = BootstrapConfig.seed,
    model: Path | None = None,
) -> EvalReport:
    """Compare predictions of `vocscore score` with the labels of packed shards.

    Args:
        predictions: a file, or a folder of parts.
        shards: the packed dataset.
        split: names separated by ',', or `judged.ALL`: evaluate these splits, and report how
            many of their images were trained on. None: evaluate the images that the model was
            not trained on, of every split with a scored image.
        threshold: a class counts as predicted from this probability on. None: use the labels in
            the predictions, the decisions of the model that made them.
        difficult: how a label of only difficult instances counts; see `apply_difficult`.
        resamples: of the bootstrap intervals; 0 turns them off.
        seed: of the resamples.
        model: the run whose model made the predictions, if no record beside them says so.

    Raises:
        EvalError: the predictions are unusable, lack labels that are needed, have other classes
            than the shards, have paths that cannot be matched (`matching.match_paths`), no
            labeled image has probabilities, all were trained on and no split is requested, or
            `model` did not make the predictions.
        Error: the shards cannot be read, or have no such split.
    """
    found = read_predictions(predictions)
    told = _recorded(predictions)
    classes = read_manifest(shards).classes
    columns = align(found.classes, classes, predictions=predictions)
    rule = "sigmoid" if told is None else told.rule
    predicted = _predicted(found, threshold, rule, predictions=predictions)
    judged = choose_images(predictions, found, shards, split=split, model=model)
    labeled, row = judged.labeled, judged.row
    failed = (row != NO_ROW) & found.failed[row]
    compared = (row != NO_ROW) & ~failed
    if not compared.any():
        raise EvalError(
            f"{predictions}: every image of {', '.join(labeled.splits)} in {shards} has "
            "status=error; there is nothing to compare."
        )
    labels = apply_difficult(labeled.labels[compared], difficult)
    probabilities = found.probabilities[row[compared]][:, columns]
    decided = predicted[row[compared]][:, columns]
    first = int(np.argmax(compared))
    return EvalReport(
        classes=classes,
        splits=labeled.splits,
        labeled=len(row),
        missing=tuple(labeled.names[i] for i in np.flatnonzero(row == NO_ROW)),
        failed=tuple(labeled.names[i] for i in np.flatnonzero(failed)),
        unlabeled=len(found.paths) - judged.matched,
        matched_as=None if judged.exact else (found.paths[row[first]], labeled.names[first]),
        training=training_of(judged, compared),
        difficult=difficult,
        figures=report_decided(labels, probabilities, decided, threshold=threshold),
        intervals=(
            bootstrap(labels, probabilities, decided, resamples=resamples, seed=seed)
            if resamples
            else None
        ),
        calibration=reliability(labels, probabilities),
        missed=missed_together(labels, decided),
        decisions=ComparedDecisions(
            paths=tuple(labeled.names[i] for i in np.flatnonzero(compared)),
            labels=labels,
            probabilities=probabilities,
            predicted=decided,
            thresholds=_thresholds(told, classes, threshold),
        ),
    )


def _recorded(predictions: Path) -> ModelFacts | None:
    """The model that made the predictions, if the record beside them says so."""
    try:
        record = read_record(place_of_record(predictions))
    except RecordError:
        return None
    return None if record is None else record.model


def _thresholds(
    model: ModelFacts | None, classes: Sequence[str], threshold: float | None
) -> tuple[float, ...] | None:
    """The thresholds of the decisions: the given one, else those that the record names."""
    if threshold is not None:
        return (threshold,) * len(classes)
    if model is None or set(model.classes) != set(classes):
        return None
    told = model.threshold
    own = told if isinstance(told, tuple) else (told,) * len(model.classes)
    by_name = dict(zip(model.classes, own, strict=True))
    return tuple(by_name[name] for name in classes)


def _predicted(
    found: Predictions, threshold: float | None, activation: str, *, predictions: Path
) -> NDArray[np.bool_]:
    """The predicted classes, shape (rows, C); False if an image has no probabilities."""
    if threshold is not None:
        return decide(found.probabilities, threshold, activation)
    if found.predicted is None:
        raise EvalError(
            f"{predictions}: has no labels to compare (written with `columns='probabilities'`, or "
            "as CSV with ';' in the name of a class). Set the probability at which a class counts "
            "as predicted, e.g. `threshold=0.5`."
        )
    return found.predicted


def align(found: Sequence[str], classes: Sequence[str], *, predictions: Path) -> list[int]:
    """Map each class of the shards to its column in the predictions.

    Raises:
        EvalError: one of them lacks a class.
    """
    lacking = [name for name in classes if name not in found]
    foreign = [name for name in found if name not in classes]
    if lacking or foreign:
        raise EvalError(
            f"{predictions}: its classes differ from those of the shards (missing: "
            f"{', '.join(lacking) or 'none'}; unknown: {', '.join(foreign) or 'none'}). "
            "Score with a model trained on these classes."
        )
    return [found.index(name) for name in classes]


def training_of(judged: Judged, compared: NDArray[np.bool_]) -> Training:
    """Summarize how the evaluated images were used in the model's training.

    Args:
        judged: the images.
        compared: bool, shape (N,): those with probabilities.
    """
    labeled, seen = judged.labeled, judged.seen
    every, trained = np.ones(len(judged.row), np.bool_), compared & seen.trained
    counts = [labeled.counts(images) for images in (every, compared, trained)]
    return Training(
        known_by=seen.known_by,
        source=seen.source,
        trained_on=int(trained.sum()),
        validated_on=int((compared & seen.validated).sum()),
        chosen=seen.chosen,
        left_out=judged.left_out,
        splits={name: SplitCounts(*(count[name] for count in counts)) for name in counts[0]},
        notes=seen.notes,
    )
