"""Selects the probabilities to write: all, the k largest, or those above a minimum; rounded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from vocscore.errors import ScoreError
from vocscore.scoring.formats.numbers import Rounding

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Selection:
    """What a row contains in addition to path, status and error.

    It does not change `labels`: these are all classes at or above the threshold, even if their
    probabilities are not written.

    Attributes:
        columns: 'all', 'probabilities' (no labels), or 'labels' (no probabilities).
        top_k: number of probabilities written per image, the largest ones; ties go to the first
            classes. None: all.
        min_probability: only probabilities at or above this one are written; compared as float32.
        decimals: probabilities are rounded to this number of decimals, after everything else was
            decided; None: they are exact.

    Raises:
        ScoreError: probabilities are selected, but not written.
    """

    columns: str = "all"
    top_k: int | None = None
    min_probability: float = 0.0
    decimals: int | None = None

    def __post_init__(self) -> None:
        """Refuse a selection of probabilities that are not written."""
        if not self.probabilities and not (self.is_everything and self.decimals is None):
            raise ScoreError(
                "`top_k`, `min_probability` and `decimals` apply to probabilities, but "
                "`columns='labels'` writes none. Omit one or the other."
            )

    @property
    def probabilities(self) -> bool:
        """Whether probabilities are written."""
        return self.columns != "labels"

    @property
    def labels(self) -> bool:
        """Whether labels are written."""
        return self.columns != "probabilities"

    @property
    def is_everything(self) -> bool:
        """Whether every probability is written."""
        return self.top_k is None and self.min_probability <= 0

    @property
    def rounding(self) -> Rounding:
        """How probabilities are rounded."""
        return Rounding(self.decimals)

    def kept(self, probabilities: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Return a mask of the probabilities that are written.

        Args:
            probabilities: shape (n, C).

        Returns:
            bool, same shape.
        """
        kept: NDArray[np.bool_] = probabilities >= np.float32(self.min_probability)
        if self.top_k is not None:
            among = np.zeros_like(kept)
            np.put_along_axis(among, largest(probabilities, self.top_k), values=True, axis=1)
            kept &= among
        return kept

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        value = {
            "columns": self.columns,
            "top_k": self.top_k,
            "min_probability": self.min_probability,
        }
        # only if given: an unfinished run of an older version does not have it
        return value if self.decimals is None else {**value, "decimals": self.decimals}


EVERYTHING = Selection()


def largest(probabilities: NDArray[np.float32], k: int) -> NDArray[np.intp]:
    """Find the columns of the k largest probabilities, in descending order.

    Args:
        probabilities: shape (n, C).
        k: how many; ties go to the first columns.

    Returns:
        shape (n, min(k, C)).
    """
    return np.argsort(-probabilities, axis=1, kind="stable")[:, :k]
