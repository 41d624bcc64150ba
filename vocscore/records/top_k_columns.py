"""The columns of a CSV with only the largest probabilities: `label_1,probability_1,label_2,...`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

KEY: Final = "top_k_columns"
"""Key of their number of pairs in the plan of a run and in the record of its output."""


def top_k_columns(pairs: int) -> list[str]:
    """Name the columns: a class and its probability, the largest first.

    Args:
        pairs: number of probabilities per row.
    """
    return [f"{what}_{rank}" for rank in range(1, pairs + 1) for what in ("label", "probability")]


def count_pairs(columns: Sequence[str]) -> int:
    """The inverse of `top_k_columns`; 0 if these are other columns, such as one per class."""
    pairs = len(columns) // 2
    return pairs if pairs and list(columns) == top_k_columns(pairs) else 0
