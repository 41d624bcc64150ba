"""Predictions beside the labels of packed shards: which belong together, and how good they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from shards.manifest import read_manifest
from shards.reader import load_split
from vocscore.errors import EvalError
from vocscore.evaluation.bootstrap import bootstrap
from vocscore.evaluation.calibration import reliability
from vocscore.evaluation.difficult import apply_difficult
from vocscore.evaluation.eval_report import EvalReport
from vocscore.evaluation.matching import match_paths
from vocscore.evaluation.metrics import decide, report_decided
from vocscore.evaluation.mistakes import missed_together
from vocscore.evaluation.predictions import read_predictions

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from vocscore.evaluation.predictions import Predictions

_NONE = -1
"""The row of a labelled picture that the predictions do not have."""


def evaluate(
    predictions: Path,
    shards: Path,
    *,
    split: str | None,
    threshold: float | None,
    difficult: str = "ignore",
    resamples: int = 0,
    seed: int = 0,
) -> EvalReport:
    """Compare what `vocscore score` wrote with the labels of packed shards.

    Args:
        predictions: a file, or a folder of parts.
        shards: the packed set.
        split: names with ',' between; None for every split of which a picture was scored.
        threshold: the probability from which on a class counts as predicted. None: predicted is
            what the predictions have as labels, the decisions of the model that made them.
        difficult: what a label of only difficult instances is; see `apply_difficult`.
        resamples: of the bootstrap intervals; 0 makes none.
        seed: of the resamples.

    Raises:
        EvalError: the table cannot be used, has no labels where they are asked for, its classes
            are not those of the shards, its paths cannot be matched with theirs
            (`matching.match_paths`), or no labelled picture has probabilities.
        ShardsError: the shards cannot be read, or have no such split.
    """
    found = read_predictions(predictions)
    manifest = read_manifest(shards)
    columns = _align(found.classes, manifest.classes, predictions=predictions)
    predicted = _predicted(found, threshold, predictions=predictions)
    asked = split.split(",") if split is not None else list(manifest.splits)
    labelled = _load(shards, asked)
    matches = match_paths(labelled.names, found.paths)
    row = np.array([matches.pairs.get(i, _NONE) for i in range(len(labelled.names))])
    if split is None:
        labelled, row = _keep_scored(labelled, row)
    failed = (row != _NONE) & found.failed[row]
    scored = np.flatnonzero((row != _NONE) & ~failed)
    if not len(scored):
        raise EvalError(
            f"{predictions}: every picture of {', '.join(labelled.splits)} in {shards} has "
            "status=error; there is nothing to compare."
        )
    labels = apply_difficult(labelled.labels[scored], difficult)
    probabilities = found.probabilities[row[scored]][:, columns]
    decided = predicted[row[scored]][:, columns]
    return EvalReport(
        classes=manifest.classes,
        splits=labelled.splits,
        labelled=len(row),
        missing=tuple(labelled.names[i] for i in np.flatnonzero(row == _NONE)),
        failed=tuple(labelled.names[i] for i in np.flatnonzero(failed)),
        unlabelled=len(found.paths) - len(matches.pairs),
        matched_as=(
            None if matches.exact else (found.paths[row[scored[0]]], labelled.names[scored[0]])
        ),
        difficult=difficult,
        figures=report_decided(labels, probabilities, decided, threshold=threshold),
        intervals=(
            bootstrap(labels, probabilities, decided, resamples=resamples, seed=seed)
            if resamples
            else None
        ),
        calibration=reliability(labels, probabilities),
        missed=missed_together(labels, decided),
    )


def _predicted(
    found: Predictions, threshold: float | None, *, predictions: Path
) -> NDArray[np.bool_]:
    """What counts as predicted, shape (rows, C); False where a picture has no probabilities."""
    if threshold is not None:
        return decide(found.probabilities, threshold)
    if found.predicted is None:
        raise EvalError(
            f"{predictions}: has no labels to compare (written with --columns probabilities, or as "
            "CSV with ';' in the name of a class). Say from which probability on a class counts as "
            "predicted, such as --threshold 0.5."
        )
    return found.predicted


def _align(found: Sequence[str], classes: Sequence[str], *, predictions: Path) -> list[int]:
    """The column of the predictions for each class of the shards."""
    lacking = [name for name in classes if name not in found]
    foreign = [name for name in found if name not in classes]
    if lacking or foreign:
        raise EvalError(
            f"{predictions}: its classes are not those of the shards (no column for "
            f"{', '.join(lacking) or 'none'}; unknown there: {', '.join(foreign) or 'none'}). "
            "Score with a model trained on these classes."
        )
    return [found.index(name) for name in classes]


@dataclass(frozen=True, slots=True, eq=False)
class _Labelled:
    """The pictures of some splits.

    Attributes:
        splits: their names.
        names: paths, each once.
        labels: int8, shape (len(names), C).
        belongs: int64, shape (len(names),): the position in `splits` of each picture's split.
    """

    splits: tuple[str, ...]
    names: tuple[str, ...]
    labels: NDArray[np.int8]
    belongs: NDArray[np.int64]


def _load(shards: Path, splits: Sequence[str]) -> _Labelled:
    """Read the labels of some splits; a picture that is in several counts once, in the first."""
    parts = [load_split(shards, split) for split in splits]
    names = [picture.name for part in parts for picture in part.pictures]
    places = {name: place for place, name in reversed(list(enumerate(names)))}
    first = sorted(places.values())
    return _Labelled(
        splits=tuple(splits),
        names=tuple(names[place] for place in first),
        labels=np.concatenate([part.labels for part in parts])[first],
        belongs=np.repeat(np.arange(len(parts)), [len(part.pictures) for part in parts])[first],
    )


def _keep_scored(
    labelled: _Labelled, row: NDArray[np.int64]
) -> tuple[_Labelled, NDArray[np.int64]]:
    """Leave out the splits of which no picture has a row (`_NONE`)."""
    used = np.unique(labelled.belongs[row != _NONE])
    kept = np.flatnonzero(np.isin(labelled.belongs, used))
    part = _Labelled(
        splits=tuple(labelled.splits[s] for s in used),
        names=tuple(labelled.names[i] for i in kept),
        labels=labelled.labels[kept],
        belongs=np.searchsorted(used, labelled.belongs[kept]),
    )
    return part, row[kept]
