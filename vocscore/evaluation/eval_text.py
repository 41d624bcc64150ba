"""An evaluation as a table for a terminal."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from shards.paths import shown
from vocscore.evaluation.bootstrap import LEVEL
from vocscore.evaluation.training_text import training_lines
from vocscore.text_width import COLUMNS, cells, pad, shorten, wrap

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from vocscore.evaluation.averages import Averages
    from vocscore.evaluation.bootstrap import Intervals
    from vocscore.evaluation.eval_report import EvalReport

_AVERAGES = ("samples", "micro", "macro")
_RATIOS = ("IoU", "precision", "recall", "F1")
_BETWEEN = f"{LEVEL:.0%} between"
_TITLES = ("AP07", "IoU", "prec.", "recall", "F1")
"""Columns of the class table; short, so that a terminal has room for the names."""
_GAP = "  "
_LEAST_NAME = 8
_LONGEST_OF_PAIR = 20
_PAIRS = 3
"""Number of class pairs listed as missed together."""


def eval_text(report: EvalReport) -> str:
    """Format the coverage, the metrics per class, the averages, and the notes on them."""
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
            f"NOT IN THE METRICS: {left_out} labeled images ({len(report.missing)} without a "
            f"row, {len(report.failed)} with status=error), such as {shown(example)}"
        )
    if report.matched_as:
        predicted, labeled = report.matched_as
        yield (
            "paths differ and were matched by their endings: "
            f"{shown(predicted)} is {shown(labeled)}"
        )
    if report.difficult != "ignore":
        yield f"NOT THE USUAL METRICS: 'difficult' instances count as {report.difficult}"


def _classes(report: EvalReport) -> Iterator[str]:
    """A line per class; the interval is that of all-point AP. Long names are shortened."""
    figures, one, intervals = report.figures, report.figures.per_class, report.intervals
    titles = ["pos.", "AP", *([_BETWEEN] if intervals else []), *_TITLES]
    lines = [
        _cells(
            one.positives[c],
            figures.average_precision[c],
            _range(intervals.average_precision[0, c]) if intervals else None,
            figures.average_precision_voc2007[c],
            (one.iou[c], one.precision[c], one.recall[c], one.f1[c]),
        )
        for c in range(len(report.classes))
    ]
    mean = _cells(
        "",
        figures.mean_average_precision,
        _range(intervals.mean_average_precision[0]) if intervals else None,
        figures.mean_average_precision_voc2007,
        _values(figures.macro),
    )
    names = ["class", *(" ".join(name.split()) for name in report.classes), "mean"]
    yield from _table(names, [titles, *lines, mean])


def _cells(
    positives: object, point: float, between: str | None, voc2007: float, ratios: Sequence[float]
) -> list[str]:
    """The cells of a class, or of the mean over classes."""
    interval = [] if between is None else [between]
    return [str(positives), _cell(point), *interval, *map(_cell, (voc2007, *ratios))]


def _averages(report: EvalReport) -> Iterator[str]:
    """A line per metric, a column per way of averaging."""
    averages = [_values(getattr(report.figures, name)) for name in _AVERAGES]
    rows = [[_cell(value) for value in values] for values in zip(*averages, strict=True)]
    if report.intervals:
        pairs = zip(*(getattr(report.intervals, name) for name in _AVERAGES), strict=True)
        rows = [
            [f"{value} ({_range(pair)})" for value, pair in zip(row, of_figure, strict=True)]
            for row, of_figure in zip(rows, pairs, strict=True)
        ]
    yield from _table(["average", *_RATIOS], [list(_AVERAGES), *rows])


def _table(names: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Names left-aligned, cells right-aligned, in the `COLUMNS` of a terminal."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    room = max(_LEAST_NAME, COLUMNS - sum(len(_GAP) + width for width in widths))
    names = [shorten(name, room) for name in names]
    room = max(map(cells, names))
    for name, row in zip(names, rows, strict=True):
        told = (text.rjust(width) for text, width in zip(row, widths, strict=True))
        yield _GAP.join((pad(name, room), *told))


def _summary(report: EvalReport) -> Iterator[str]:
    figures, intervals = report.figures, report.intervals
    spread = f"{_range(intervals.mean_average_precision[0])}; " if intervals else ""
    yield f"mAP {_cell(figures.mean_average_precision)} ({spread}chance {_cell(figures.chance)})"
    yield (
        f"mAP as in VOC 2007 (11 points, AP07) {_cell(figures.mean_average_precision_voc2007)}, "
        f"as in VOC 2010 {_cell(figures.mean_average_precision_voc2010)}"
    )
    absent = int((figures.per_class.positives == 0).sum())
    if absent:
        yield f"mAP leaves out {absent} of {len(report.classes)} classes, which have no positive"
    if figures.threshold is None:
        yield "predicted: the labels in the predictions"
    else:
        yield f"predicted: a probability of {figures.threshold} or more"
    calibration = report.calibration
    yield (
        f"expected calibration error {_cell(calibration.expected_calibration_error)} over "
        f"{calibration.decisions.sum()} decisions"
    )
    yield from _missed(report)
    if intervals:
        yield _explained(intervals)


def _missed(report: EvalReport) -> Iterator[str]:
    """The pairs of classes most often missed in the same image."""
    pairs = np.triu(report.missed, k=1)
    most = np.argsort(-pairs, axis=None, kind="stable")[:_PAIRS]
    places = [divmod(int(place), len(pairs)) for place in most]
    named = [
        f"{_short(report.classes[a])} and {_short(report.classes[b])} ({pairs[a, b]})"
        for a, b in places
        if pairs[a, b]
    ]
    if named:
        yield from wrap(named, begin="most often missed together: ", indent="  ")


def _short(name: str) -> str:
    return shorten(" ".join(name.split()), _LONGEST_OF_PAIR)


def _explained(intervals: Intervals) -> str:
    return (
        f"between: the middle {LEVEL:.0%} of {intervals.resamples} resamples of these images;\n"
        "retraining may give values outside"
    )


def _cell(value: float) -> str:
    """Format a ratio with three digits, '-' if it is undefined."""
    return "-" if math.isnan(value) else f"{value:.3f}"


def _range(pair: Sequence[float]) -> str:
    lower, upper = pair
    return "-" if math.isnan(lower) else f"{lower:.3f}-{upper:.3f}"


def _values(averages: Averages) -> tuple[float, float, float, float]:
    return averages.iou, averages.precision, averages.recall, averages.f1
