"""The suspicious labels of a table, class by class, so that memory stays small."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from vocscore.evaluation.suspects import DISAGREES, self_confidence

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vocscore.columns.labels import Labels
    from vocscore.columns.table import Table


@dataclass(frozen=True, slots=True, eq=False)
class SuspectRows:
    """Labels that the model contradicts, the most suspicious first.

    Attributes:
        rows: int32 (S,), of the table.
        classes: int32 (S,).
        confidence: float32 (S,), the self-confidence, ascending.
    """

    rows: NDArray[np.int32]
    classes: NDArray[np.int32]
    confidence: NDArray[np.float32]


def suspect_rows(
    table: Table, labels: Labels, *, rows: NDArray[np.bool_], c: int | None = None
) -> SuspectRows:
    """Find suspicious labels, as `evaluation.suspects.find_suspects` does.

    Args:
        table: the predictions.
        labels: of its images.
        rows: bool (N,), the rows to consider.
        c: a class; None: all.
    """
    found: list[tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.float32]]] = []
    for each in range(len(table.classes)) if c is None else (c,):
        confidence = self_confidence(labels.column(each), table.column(each))
        suspicious = np.flatnonzero((confidence < DISAGREES) & rows).astype(np.int32)
        place = np.full(len(suspicious), each, np.int32)
        found.append((suspicious, place, confidence[suspicious]))
    every, classes, scores = (np.concatenate(part) for part in zip(*found, strict=True))
    order = np.lexsort((classes, every, scores))
    return SuspectRows(every[order], classes[order], scores[order])
