"""The memory that the maps of a training take, checked before they are computed."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from vocscore.errors import TrainError
from vocscore.machine import available_memory

if TYPE_CHECKING:
    from collections.abc import Sequence

BYTES = 2
"""Per number: float16."""


def check_room_for_maps(shape: Sequence[int], images: int, *, folds: bool) -> str:
    """Refuse a training whose maps do not fit into memory.

    Args:
        shape: (F, h, w).
        images: of both splits.
        folds: whether heads of folds are trained, which need a second copy.

    Returns:
        What the maps take, as text.

    Raises:
        TrainError: it is more than this machine has free.
    """
    needed = math.prod(shape) * BYTES * images * (2 if folds else 1)
    free = available_memory()
    if free is not None and needed > free:
        raise TrainError(
            f"`head='csra'` keeps the maps of {images:,} images in memory, which takes "
            f"{_words(needed)}{' with `folds`' if folds else ''}, and {_words(free)} are free. Use "
            f"`head='linear'`, a smaller `size`, or fewer images."
        )
    return f"{_words(needed)} of maps in memory"


def _words(number: float) -> str:
    unit = next((u for u, size in (("GB", 1e9), ("MB", 1e6)) if number >= size), "KB")
    return f"{number / {'GB': 1e9, 'MB': 1e6, 'KB': 1e3}[unit]:,.1f} {unit}"
