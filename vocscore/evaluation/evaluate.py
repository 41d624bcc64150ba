"""Predictions beside the labels of packed shards: which belong together, and how good they are."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from shards.manifest import read_manifest
from shards.paths import shown
from shards.reader import load_split
from vocscore.errors import EvalError
from vocscore.evaluation.matching import match_paths
from vocscore.evaluation.metrics import Averages, Report
from vocscore.evaluation.metrics import report as compare
from vocscore.evaluation.predictions import read_predictions

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

_NONE = -1
"""The row of a labelled picture that the predictions do not have."""
_EXAMPLES = 20
"""Paths of pictures left out that a report names; it counts them all."""


@dataclass(frozen=True, slots=True, eq=False)
class EvalReport:
    """How good predictions are, and of how many pictures that can be said.

    A labelled picture without probabilities (no row, or a row with status=error) is in no figure:
    what a model would have said of it is not known. It is counted, and the text says so.

    Attributes:
        classes: in the order of the shards.
        splits: the splits compared with.
        labelled: pictures in these splits.
        missing: labelled pictures without a row in the predictions.
        failed: labelled pictures whose row has status=error.
        unlabelled: rows of the predictions about pictures that are not in these splits.
        matched_as: (predicted path, labelled path) of one picture, where paths were not equal and
            were matched by how they end; else None.
        figures: of the `labelled` pictures that are neither missing nor failed.
    """

    classes: tuple[str, ...]
    splits: tuple[str, ...]
    labelled: int
    missing: tuple[str, ...]
    failed: tuple[str, ...]
    unlabelled: int
    matched_as: tuple[str, str] | None
    figures: Report

    def to_json(self) -> dict[str, Any]:
        """Plain values: the counts, then those of `metrics.Report.to_json`."""
        return {
            "splits": list(self.splits),
            "labelled": self.labelled,
            "missing": len(self.missing),
            "missing_examples": list(self.missing[:_EXAMPLES]),
            "failed": len(self.failed),
            "failed_examples": list(self.failed[:_EXAMPLES]),
            "unlabelled": self.unlabelled,
            "matched_by": "ending" if self.matched_as else "path",
            **self.figures.to_json(self.classes),
        }

    def to_text(self) -> str:
        """A table for a terminal: what was compared, each class, the averages."""
        return "\n".join([*self._coverage(), "", *self._classes(), "", *self._averages()])

    def _coverage(self) -> Iterator[str]:
        figures = self.figures
        yield (
            f"scored {figures.pictures} of {self.labelled} labelled pictures "
            f"({', '.join(self.splits)}); {self.unlabelled} predictions are of other pictures"
        )
        left_out = len(self.missing) + len(self.failed)
        if left_out:
            example = (*self.missing, *self.failed)[0]
            yield (
                f"NOT IN THE FIGURES: {left_out} labelled pictures ({len(self.missing)} without a "
                f"row, {len(self.failed)} with status=error), such as {shown(example)}"
            )
        if self.matched_as:
            predicted, labelled = self.matched_as
            yield (
                "paths differ and were matched by how they end: "
                f"{shown(predicted)} is {shown(labelled)}"
            )

    def _classes(self) -> Iterator[str]:
        figures, one = self.figures, self.figures.per_class
        width = max(len("mean"), *(len(name) for name in self.classes))
        titles = ("positives", "AP", "AP 2007", "IoU", "precision", "recall", "F1")
        yield _row("class", titles, width=width)
        for c, name in enumerate(self.classes):
            points = (figures.average_precision[c], figures.average_precision_voc2007[c])
            ratios = (one.iou[c], one.precision[c], one.recall[c], one.f1[c])
            yield _row(name, (one.positives[c], *points, *ratios), width=width)
        means = (figures.mean_average_precision, figures.mean_average_precision_voc2007)
        yield _row("mean", ("", *means, *_values(figures.macro)), width=width)

    def _averages(self) -> Iterator[str]:
        figures = self.figures
        yield _row("average", ("IoU", "precision", "recall", "F1"), width=8)
        for name in ("samples", "micro", "macro"):
            yield _row(name, _values(getattr(figures, name)), width=8)
        yield ""
        yield (
            f"mAP {_cell(figures.mean_average_precision)} (chance {_cell(figures.chance)}), "
            f"11-point as VOC 2007 {_cell(figures.mean_average_precision_voc2007)}, "
            f"as VOC 2010 {_cell(figures.mean_average_precision_voc2010)}; "
            f"threshold {figures.threshold:g}"
        )


def evaluate(predictions: Path, shards: Path, *, split: str | None, threshold: float) -> EvalReport:
    """Compare what `vocscore score` wrote with the labels of packed shards.

    Args:
        predictions: a file, or a folder of parts.
        shards: the packed set.
        split: names with ',' between; None for every split of which a picture was scored.
        threshold: the probability from which on a class counts as predicted.

    Raises:
        EvalError: the table cannot be used, its classes are not those of the shards, its paths
            cannot be matched with theirs (`matching.match_paths`), or no labelled picture has
            probabilities.
        ShardsError: the shards cannot be read, or have no such split.
    """
    found = read_predictions(predictions)
    manifest = read_manifest(shards)
    columns = _align(found.classes, manifest.classes, predictions=predictions)
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
        figures=compare(
            labelled.labels[scored],
            found.probabilities[row[scored]][:, columns],
            threshold=threshold,
        ),
    )


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


def _row(name: str, cells: Sequence[Any], *, width: int) -> str:
    return f"{name:<{width}}" + "".join(f"  {_cell(cell):>9}" for cell in cells)


def _cell(value: Any) -> str:
    """Three digits for a ratio, '-' where it is not defined."""
    if isinstance(value, float):
        return "-" if math.isnan(value) else f"{value:.3f}"
    return str(value)


def _values(averages: Averages) -> tuple[float, float, float, float]:
    return averages.iou, averages.precision, averages.recall, averages.f1
