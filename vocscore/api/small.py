"""A few images without the blanks that fill a group, where the results are the same to the bit.

On a CPU the network sees groups of 32, filled up with blanks: one image costs as much as 32. A
network compiled for single images costs a twentieth or less. Whether it computes the same bits
depends on processor, network and precision, so it is tried: on as many different images as a group
has places. In which order a kernel adds depends on shapes, and not on the values.
"""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Callable

    from vocscore.runtime import Runtime

MOST_IMAGES = 8
"""Of a call that is worth it."""
CALLS_BEFORE = 4
"""Small calls that are computed in a whole group: compiling the network again takes as long as
some of them do."""


class SmallCalls:
    """Counts small calls, and opens the network for single images when there were enough.

    Args:
        whole: the network for groups.
        open_single: makes it for single images; takes seconds.
        group: images of a group.
        size: height and width of what the network sees, pixels.
    """

    def __init__(
        self, whole: Runtime, open_single: Callable[[], Runtime], *, group: int, size: int
    ) -> None:
        self._whole = whole
        self._open_single = open_single
        self._shape = (group, 3, size, size)
        self._calls = 0
        self._single: Runtime | None = None
        self._tried = False
        self._trying = Lock()

    def single(self) -> Runtime | None:
        """The network for single images; None where the whole group is to be used."""
        self._calls += 1
        if self._tried or self._calls <= CALLS_BEFORE:
            return self._single
        if self._trying.acquire(blocking=False):  # other threads use the group meanwhile
            try:
                self._try()
            finally:
                self._trying.release()
        return self._single

    def _try(self) -> None:
        if self._tried:
            return
        random = torch.Generator().manual_seed(0)
        noise = torch.randint(256, self._shape, dtype=torch.uint8, generator=random)
        noise = noise.contiguous(memory_format=torch.channels_last)
        single = self._open_single()
        if np.array_equal(single.probabilities(noise), self._whole.probabilities(noise)):
            self._single = single
        self._tried = True
