"""Which probabilities are written: all of them, the largest, or those above a limit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from vocscore.errors import ScoreError

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Selection:
    """What a row says about its image in addition to path, status and error.

    It does not change `labels`: these are the classes at or above the threshold, written or not.

    Attributes:
        columns: 'all', 'probabilities' (no labels), or 'labels' (no probabilities).
        top_k: how many of an image's probabilities are written, the largest; of equal ones those
            of the first classes. None: all.
        min_probability: only probabilities from this one on are written; compared as float32.

    Raises:
        ScoreError: probabilities are selected, but not written.
    """

    columns: str = "all"
    top_k: int | None = None
    min_probability: float = 0.0

    def __post_init__(self) -> None:
        """Refuse to select among probabilities that are not written."""
        if not self.probabilities and not self.is_everything:
            raise ScoreError(
                "--top-k and --min-probability select probabilities, and --columns labels writes "
                "none. Leave out one or the other."
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
        """Whether every probability is written, whatever its size."""
        return self.top_k is None and self.min_probability <= 0

    def kept(self, probabilities: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Say which probabilities are written.

        Args:
            probabilities: shape (n, C).

        Returns:
            bool, same shape.
        """
        kept: NDArray[np.bool_] = probabilities >= np.float32(self.min_probability)
        if self.top_k is not None:
            largest = np.argsort(-probabilities, axis=1, kind="stable")[:, : self.top_k]
            among = np.zeros_like(kept)
            np.put_along_axis(among, largest, values=True, axis=1)
            kept &= among
        return kept

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "columns": self.columns,
            "top_k": self.top_k,
            "min_probability": self.min_probability,
        }


EVERYTHING = Selection()
