"""The parts of a report as the template needs them: text that can be shown, and drawings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from vocscore.reporting import drawing
from vocscore.reporting.texts import number, share, short, visible

if TYPE_CHECKING:
    from collections.abc import Sequence

    from markupsafe import Markup
    from numpy.typing import NDArray

    from vocscore.columns.figures import Decided
    from vocscore.columns.table import Table
    from vocscore.reporting.quality import Quality

MOST_CURVES: Final = 60
"""Classes with a precision-recall curve: those with the most positives."""
_MOST_ROWS: Final = 12
"""Rows of the tables of missed labels."""
_SPARK_BINS: Final = 25


@dataclass(frozen=True, slots=True)
class Card:
    """A figure of the overview: value, name, and a line below."""

    value: str
    name: str
    more: str = ""


def counts(table: Table, found: Decided) -> list[Card]:
    """How many images, errors and predicted labels there are."""
    failed = int(table.failed.sum())
    scored = table.rows - failed
    per_image = f"{found.predicted.sum() / scored:.2f} per image" if scored else ""
    of_all = f"{failed / table.rows:.2%} of the images" if failed else ""
    return [
        _counted(table.rows, "image"),
        _counted(failed, "error", of_all),
        Card(number(len(table.classes)), "class" if len(table.classes) == 1 else "classes"),
        _counted(int(found.predicted.sum()), "predicted label", per_image),
        Card(number(found.none), "images without a label"),
    ]


def _counted(count: int, noun: str, more: str = "") -> Card:
    return Card(number(count), noun if count == 1 else f"{noun}s", more)


def metrics(quality: Quality) -> list[Card]:
    """The averages of all metrics, with their intervals."""
    report, spread = quality.report, quality.intervals
    ends: list[NDArray[np.float64] | None] = [None] * 6
    if spread is not None:
        ends = [
            spread.mean_average_precision[0],
            spread.samples[0],
            *(spread.micro[place] for place in (1, 2, 3)),
            spread.macro[3],
        ]
    values = [
        ("mAP", report.mean_average_precision),
        ("IoU, mean over images", report.samples.iou),
        ("precision, all decisions", report.micro.precision),
        ("recall, all decisions", report.micro.recall),
        ("F1, all decisions", report.micro.f1),
        ("F1, mean over classes", report.macro.f1),
    ]
    cards = [
        Card(share(value), name, _between(pair))
        for (name, value), pair in zip(values, ends, strict=True)
    ]
    error = share(quality.calibration.expected_calibration_error)
    return [*cards, Card(error, "expected calibration error")]


def _between(pair: Sequence[float] | NDArray[np.float64] | None) -> str:
    if pair is None or np.isnan(pair[0]):
        return ""
    return f"{pair[0]:.3f} to {pair[1]:.3f}"


@dataclass(frozen=True, slots=True)
class ClassRow:
    """A row of the table of classes; what needs labels is '' without them."""

    name: str
    threshold: str
    predicted: str
    spark: Markup
    positives: str = ""
    average_precision: str = ""
    between: str = ""
    bar: Markup | str = ""
    precision: str = ""
    recall: str = ""
    f1: str = ""


def class_rows(table: Table, found: Decided, quality: Quality | None) -> list[ClassRow]:
    """The classes: with metrics the best average precision first, else the most predicted one."""
    values = found.predicted if quality is None else quality.report.average_precision
    order = np.argsort(-np.nan_to_num(np.asarray(values, np.float64), nan=-1), kind="stable")
    return [_class_row(table, found, quality, int(c)) for c in order]


def _class_row(table: Table, found: Decided, quality: Quality | None, c: int) -> ClassRow:
    name, bins = visible(table.classes[c]), found.by_class[c]
    spark = drawing.sparkline(bins.reshape(_SPARK_BINS, -1).sum(axis=1))
    threshold, predicted = f"{table.thresholds[c]:.4g}", number(found.predicted[c])
    if quality is None:
        return ClassRow(name, threshold, predicted, spark)
    one, point = quality.report.per_class, float(quality.report.average_precision[c])
    spread = quality.intervals
    pair = None if spread is None else spread.average_precision[0, c]
    return ClassRow(
        name=name,
        threshold=threshold,
        predicted=predicted,
        spark=spark,
        positives=number(one.positives[c]),
        average_precision=share(point),
        between=_between(pair),
        bar=drawing.share_bar(point, pair),
        precision=share(one.precision[c]),
        recall=share(one.recall[c]),
        f1=share(one.f1[c]),
    )


@dataclass(frozen=True, slots=True)
class Curve:
    """A precision-recall curve."""

    name: str
    average_precision: str
    drawing: Markup


def curves(table: Table, quality: Quality) -> list[Curve]:
    """The curves of at most `MOST_CURVES` classes, in the order of the table of classes."""
    one, points = quality.report.per_class, quality.report.average_precision
    chosen = np.argsort(-one.positives, kind="stable")[:MOST_CURVES]
    chosen = chosen[one.positives[chosen] > 0]
    found = []
    for c in chosen[np.argsort(-points[chosen], kind="stable")]:
        name = visible(table.classes[c])
        recall, precision = quality.curves[c]
        decided = float(one.recall[c]), float(one.precision[c])
        drawn = drawing.precision_recall(recall, precision, decided, name=name)
        found.append(Curve(name, share(points[c]), drawn))
    return found


def missed_classes(table: Table, quality: Quality) -> list[tuple[str, str, str]]:
    """The classes that are missed most: name, missed images, share of the images with it."""
    missed, positives = np.diag(quality.missed), quality.report.per_class.positives
    order = np.argsort(-missed, kind="stable")[:_MOST_ROWS]
    return [
        (visible(table.classes[c]), number(missed[c]), f"{missed[c] / positives[c]:.0%}")
        for c in order
        if missed[c]
    ]


def missed_pairs(table: Table, quality: Quality) -> list[tuple[str, str, str]]:
    """The pairs of classes that are missed in the same image most: names, and images."""
    upper = np.triu(quality.missed, 1)
    order = np.argsort(-upper, axis=None, kind="stable")[:_MOST_ROWS]
    pairs = [divmod(int(at), len(upper)) for at in order if upper.flat[at]]
    names = [visible(name) for name in table.classes]
    return [(names[a], names[b], number(upper[a, b])) for a, b in pairs]


def probability(value: float) -> str:
    """A probability with two digits; '-' for nan."""
    return short(value) or "-"
