"""Scores a few images without padding the batch, where the results are the same to the bit.

On a CPU the network takes batches of 32, padded with blanks: one image costs as much as 32. A
network compiled for single images costs a twentieth or less. Whether it computes the same bits
depends on processor, network and precision, so it is tested, on as many different images as a
batch has. The order in which a kernel adds depends on shapes, not on values.
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
"""Maximum images of a call for which this is worthwhile."""
CALLS_BEFORE = 4
"""Small calls that use the whole batch first: compiling the network again takes as long as
some of them."""


class SmallCalls:
    """Counts small calls, and compiles the network for single images after enough of them.

    Args:
        whole: the network for full batches.
        open_single: makes it for single images; takes seconds.
        group: images of a full batch.
        shape: of one image as the network takes it.
    """

    def __init__(
        self,
        whole: Runtime,
        open_single: Callable[[], Runtime],
        *,
        group: int,
        shape: tuple[int, int, int],
    ) -> None:
        self._whole = whole
        self._open_single = open_single
        self._shape = (group, *shape)
        self._calls = 0
        self._single: Runtime | None = None
        self._tried = False
        self._trying = Lock()

    def single(self) -> Runtime | None:
        """The network for single images; None if the full batch must be used."""
        self._calls += 1
        if self._tried or self._calls <= CALLS_BEFORE:
            return self._single
        if self._trying.acquire(blocking=False):  # other threads use the full batch meanwhile
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
