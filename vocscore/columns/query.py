"""Selects and sorts rows of a table: what a gallery shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from vocscore.columns.order import order_of
from vocscore.errors import EvalError
from vocscore.evaluation.losses import losses

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from vocscore.columns.labels import Labels
    from vocscore.columns.table import Table

NEED_LABELS: Final = ("true_positive", "false_positive", "false_negative", "true_negative")
KINDS: Final = ("all", *NEED_LABELS, "predicted", "unsure", "error")
SORTS: Final = ("path", "score", "margin", "loss")
UNSURE: Final = 0.1
"""A decision is unsure if the probability is at most this far from the threshold."""


@dataclass(frozen=True, slots=True)
class Query:
    """Which rows, in which order.

    Attributes:
        class_index: the class that kind, range and order are about; None: any class.
        kind: one of `KINDS`. 'all' are rows without an error; those of `NEED_LABELS` are about
            labeled images. With any class, one decision of that kind suffices, except for
            'true_negative': none is predicted and none is present.
        low: least probability of the class; with any class, of the most probable one.
        high: greatest probability.
        reason: of errors; None: any. Only with kind 'error'.
        text: part of the path.
        sort: 'path' (the order of the rows), 'score' (probability), 'margin' (distance from the
            threshold), 'loss' (binary cross entropy, nats; rows without labels are last).
        descending: the largest first.
        held_out: only labeled images that the model was not trained on.
    """

    class_index: int | None = None
    kind: str = "all"
    low: float = 0.0
    high: float = 1.0
    reason: str | None = None
    text: str = ""
    sort: str = "path"
    descending: bool = False
    held_out: bool = False

    def __post_init__(self) -> None:
        """Refuse unknown words."""
        for what, word, known in (("kind", self.kind, KINDS), ("sort", self.sort, SORTS)):
            if word not in known:
                raise EvalError(f"{what} {word!r} is not one of {', '.join(known)}.")


def select(
    table: Table, labels: Labels | None, thresholds: NDArray[np.float32], query: Query
) -> NDArray[np.int32]:
    """Select rows.

    Args:
        table: the predictions.
        labels: of its images; without them, kinds that need labels select nothing.
        thresholds: float32 (C,), those of the decisions.
        query: which rows.

    Returns:
        int32 (M,), row numbers in order; equal values stay in the order of the rows.
    """
    mask = _mask(table, labels, thresholds, query)
    if query.text:
        mask = mask & table.matching(query.text)
    if query.held_out and labels is not None:
        mask = mask & labels.held_out
    rows = np.flatnonzero(mask).astype(np.int32)
    if query.sort == "path" or query.kind == "error":
        return rows[::-1] if query.descending else rows
    values = _values(table, labels, thresholds, query, rows)
    return rows[order_of(values, descending=query.descending)]


def _mask(
    table: Table, labels: Labels | None, thresholds: NDArray[np.float32], query: Query
) -> NDArray[np.bool_]:
    if query.kind == "error":
        if query.reason is None:
            return table.failed
        if query.reason not in table.reasons[1:]:
            return np.zeros(table.rows, np.bool_)
        found: NDArray[np.bool_] = table.reason == table.reasons.index(query.reason)
        return found
    if query.kind in NEED_LABELS and labels is None:
        return np.zeros(table.rows, np.bool_)
    mask: NDArray[np.bool_] = _of_kind(table, labels, thresholds, query)
    if query.low > 0 or query.high < 1:
        score = _scores(table, query.class_index)
        low, high = np.float32(query.low), np.float32(query.high)
        mask = mask & (score >= low) & (score <= high)
    return mask


def _of_kind(
    table: Table, labels: Labels | None, thresholds: NDArray[np.float32], query: Query
) -> NDArray[np.bool_]:
    fine = ~table.failed
    if query.kind == "all":
        return fine
    classes = _classes(table, query)
    if query.kind == "true_negative" and query.class_index is None:
        found = fine & labels.has if labels is not None else fine
        for c in classes:
            found = found & ~table.predicted(c, float(thresholds[c]))
            found = found & (labels.column(c) == 0) if labels is not None else found
        return found
    found = np.zeros(table.rows, np.bool_)
    for c in classes:
        found |= _decisions(table, labels, float(thresholds[c]), c, query.kind)
    return found & fine


def _decisions(
    table: Table, labels: Labels | None, threshold: float, c: int, kind: str
) -> NDArray[np.bool_]:
    """Which rows have a decision of one class of this kind."""
    if kind == "unsure":
        distance: NDArray[np.float32] = np.abs(table.column(c) - np.float32(threshold))
        unsure: NDArray[np.bool_] = distance <= np.float32(UNSURE)
        return unsure
    predicted = table.predicted(c, threshold)
    if kind == "predicted" or labels is None:
        return predicted
    truth = labels.column(c) == (1 if kind in ("true_positive", "false_negative") else 0)
    found: NDArray[np.bool_] = truth & (predicted if kind.endswith("positive") else ~predicted)
    return found


def _classes(table: Table, query: Query) -> Iterable[int]:
    return range(len(table.classes)) if query.class_index is None else (query.class_index,)


def _scores(table: Table, c: int | None) -> NDArray[np.float32]:
    """Probability of a class, or the greatest; float32 (N,), nan without any."""
    if c is not None:
        return table.column(c)
    found = np.full(table.rows, np.nan, np.float32)
    for each in range(len(table.classes)):
        np.fmax(found, table.column(each), out=found)
    return found


def _values(
    table: Table,
    labels: Labels | None,
    thresholds: NDArray[np.float32],
    query: Query,
    rows: NDArray[np.int32],
) -> NDArray[np.float32]:
    """What rows are sorted by, float32 (len(rows),)."""
    if query.sort == "score":
        return _scores(table, query.class_index)[rows]
    found = np.full(len(rows), np.nan, np.float32)
    for c in _classes(table, query):
        column = table.column(c)[rows]
        if query.sort == "margin":
            np.fmin(found, np.abs(column - thresholds[c]), out=found)
        elif labels is not None:
            loss = losses(labels.column(c)[rows], column)
            found = np.where(np.isnan(found), loss, found + np.nan_to_num(loss))
    return found
