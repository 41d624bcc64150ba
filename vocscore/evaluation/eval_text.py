"""An evaluation as a table for a terminal."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from shards.paths import shown
from vocscore.evaluation.bootstrap import LEVEL
from vocscore.evaluation.training_text import training_lines

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from vocscore.evaluation.averages import Averages
    from vocscore.evaluation.bootstrap import Intervals
    from vocscore.evaluation.eval_report import EvalReport

_AVERAGES = ("samples", "micro", "macro")
_BETWEEN = f"{LEVEL:.0%} between"
"""As wide as an interval of ratios."""
_PAIRS = 3
"""Pairs of classes that are named as missed together."""


def eval_text(report: EvalReport) -> str:
    """Say what was compared, the figures of each class, the averages, and what is behind them."""
    parts = (
        (*_coverage(report), *training_lines(report)),
        _classes(report),
        _averages(report),
        _summary(report),
    )
    return "\n\n".join("\n".join(part) for part in parts)


def _coverage(report: EvalReport) -> Iterator[str]:
    yield (
        f"scored {report.figures.images} of {report.labeled} labeled images "
        f"({', '.join(report.splits)}); {report.unlabeled} predictions are of other images"
    )
    left_out = len(report.missing) + len(report.failed)
    if left_out:
        example = (*report.missing, *report.failed)[0]
        yield (
            f"NOT IN THE FIGURES: {left_out} labeled images ({len(report.missing)} without a "
            f"row, {len(report.failed)} with status=error), such as {shown(example)}"
        )
    if report.matched_as:
        predicted, labeled = report.matched_as
        yield (
            f"paths differ and were matched by how they end: {shown(predicted)} is {shown(labeled)}"
        )
    if report.difficult != "ignore":
        yield f"NOT THE USUAL FIGURES: 'difficult' instances count as {report.difficult}"


def _classes(report: EvalReport) -> Iterator[str]:
    """A line a class; the interval is that of AP over all points."""
    figures, one, intervals = report.figures, report.figures.per_class, report.intervals
    width = max(len("mean"), *(len(name) for name in report.classes))
    between = [_BETWEEN] if intervals else []
    titles = ["positives", "AP", *between, "AP 2007", "IoU", "precision", "recall", "F1"]
    yield _row("class", titles, width=width)
    for c, name in enumerate(report.classes):
        between = (
            [_range(intervals.average_precision[0, c]).rjust(len(_BETWEEN))] if intervals else []
        )
        ratios = (one.iou[c], one.precision[c], one.recall[c], one.f1[c])
        points = (figures.average_precision[c], *between, figures.average_precision_voc2007[c])
        yield _row(name, (one.positives[c], *points, *ratios), width=width)
    between = (
        [_range(intervals.mean_average_precision[0]).rjust(len(_BETWEEN))] if intervals else []
    )
    points = (figures.mean_average_precision, *between, figures.mean_average_precision_voc2007)
    yield _row("mean", ("", *points, *_values(figures.macro)), width=width)


def _averages(report: EvalReport) -> Iterator[str]:
    intervals = report.intervals
    cell = 19 if intervals else 9
    yield _row("average", ("IoU", "precision", "recall", "F1"), width=8, cell=cell)
    for name in _AVERAGES:
        cells: Sequence[Any] = _values(getattr(report.figures, name))
        if intervals:
            pairs = zip(cells, getattr(intervals, name), strict=True)
            cells = [f"{_cell(value)} ({_range(pair)})" for value, pair in pairs]
        yield _row(name, cells, width=8, cell=cell)


def _summary(report: EvalReport) -> Iterator[str]:
    figures, intervals = report.figures, report.intervals
    spread = f"{_range(intervals.mean_average_precision[0])}; " if intervals else ""
    yield (
        f"mAP {_cell(figures.mean_average_precision)} ({spread}chance {_cell(figures.chance)}), "
        f"11-point as VOC 2007 {_cell(figures.mean_average_precision_voc2007)}, "
        f"as VOC 2010 {_cell(figures.mean_average_precision_voc2010)}"
    )
    absent = int((figures.per_class.positives == 0).sum())
    if absent:
        yield f"mAP leaves out {absent} of {len(report.classes)} classes, which have no positive"
    if figures.threshold is None:
        yield "predicted is what the predictions have as labels"
    else:
        yield f"predicted is what has a probability of {figures.threshold} or more"
    calibration = report.calibration
    yield (
        f"expected calibration error {_cell(calibration.expected_calibration_error)} over "
        f"{calibration.decisions.sum()} decisions"
    )
    yield from _missed(report)
    if intervals:
        yield _explained(intervals)


def _missed(report: EvalReport) -> Iterator[str]:
    """The pairs of classes that are most often missed in one image."""
    pairs = np.triu(report.missed, k=1)
    most = np.argsort(-pairs, axis=None, kind="stable")[:_PAIRS]
    places = [divmod(int(place), len(pairs)) for place in most]
    named = [
        f"{report.classes[a]} and {report.classes[b]} ({pairs[a, b]})"
        for a, b in places
        if pairs[a, b]
    ]
    if named:
        yield f"most often missed together: {', '.join(named)}"


def _explained(intervals: Intervals) -> str:
    return (
        f"between: {LEVEL:.0%} of {intervals.resamples} resamples of these images lie there; "
        "another training may lie elsewhere"
    )


def _row(name: str, cells: Sequence[Any], *, width: int, cell: int = 9) -> str:
    texts = [_cell(value) for value in cells]
    return f"{name:<{width}}" + "".join(f"  {text:>{max(cell, len(text))}}" for text in texts)


def _cell(value: Any) -> str:
    """Three digits for a ratio, '-' where it is not defined."""
    if isinstance(value, float):
        return "-" if math.isnan(value) else f"{value:.3f}"
    return str(value)


def _range(pair: Sequence[float]) -> str:
    lower, upper = pair
    return "-" if math.isnan(lower) else f"{lower:.3f}-{upper:.3f}"


def _values(averages: Averages) -> tuple[float, float, float, float]:
    return averages.iou, averages.precision, averages.recall, averages.f1
