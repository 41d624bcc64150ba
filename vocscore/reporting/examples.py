"""Chooses the images that a report shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from vocscore.columns.figures import Compared
    from vocscore.columns.table import Table


@dataclass(frozen=True, slots=True)
class Strip:
    """Images of one kind.

    Attributes:
        class_index: the class that they are about; None for bad inputs.
        kind: 'false_positive', 'false_negative', 'probable', 'unsure' or 'error'.
        rows: of the table, in order.
        total: how many images there are of this kind.
        reason: of errors.
    """

    class_index: int | None
    kind: str
    rows: tuple[int, ...]
    total: int
    reason: str = ""


def mistakes(found: Compared, most: int) -> Iterator[Strip]:
    """The wrong decisions of each class, the greatest loss first.

    Classes with most of them come first.

    Args:
        found: the decisions.
        most: images per kind and class.

    Yields:
        At most two strips per class: false positives and false negatives.
    """
    wrong = [
        int((guess & (truth == 0)).sum() + (~guess & (truth == 1)).sum())
        for truth, guess in zip(found.truth.T, found.predicted.T, strict=True)
    ]
    for c in np.argsort(-np.array(wrong), kind="stable"):
        if not wrong[c]:
            return
        truth, guess, scores = found.truth[:, c], found.predicted[:, c], found.probabilities[:, c]
        for kind, mask, loss in (
            ("false_positive", guess & (truth == 0), scores),
            ("false_negative", ~guess & (truth == 1), -scores),
        ):
            images = np.flatnonzero(mask)
            if not len(images):
                continue
            best = _largest(loss[images], most)
            yield Strip(int(c), kind, _numbers(found.rows[images[best]]), len(images))


def confident(table: Table, most: int) -> Iterator[Strip]:
    """The most probable and the least certain images of each class, where there are no labels.

    Args:
        table: the predictions.
        most: images per kind and class.

    Yields:
        Two strips per class with a probability: the most probable images, and those nearest to the
        threshold.
    """
    for c in range(len(table.classes)):
        column = table.column(c)
        known = np.flatnonzero(~np.isnan(column))
        if not len(known):
            continue
        scores = column[known]
        top = known[_largest(scores, most)]
        near = known[_largest(-np.abs(scores - table.thresholds[c]), most)]
        predicted = int(np.count_nonzero(table.decided(c) & ~table.failed))
        yield Strip(c, "probable", _numbers(top), predicted)
        yield Strip(c, "unsure", _numbers(near), len(known))


def bad_inputs(table: Table, most: int) -> Iterator[Strip]:
    """The first errors of each reason, the most frequent reason first."""
    counts = np.bincount(table.reason, minlength=len(table.reasons))
    counts[0] = 0
    for place in np.argsort(-counts, kind="stable"):
        if counts[place]:
            rows = np.flatnonzero(table.reason == place)[:most]
            reason = table.reasons[place]
            yield Strip(None, "error", _numbers(rows), int(counts[place]), reason)


def _largest(values: NDArray[Any], most: int) -> NDArray[np.int64]:
    """Places of the largest values, in order; of equals the first."""
    if 0 < most < len(values):
        least = np.partition(values, len(values) - most)[len(values) - most]
        places = np.flatnonzero(values >= least)
    else:
        places = np.arange(len(values))
    order = np.argsort(-values[places], kind="stable")[:most]
    found: NDArray[np.int64] = places[order]
    return found


def _numbers(rows: NDArray[Any]) -> tuple[int, ...]:
    return tuple(int(row) for row in rows)
