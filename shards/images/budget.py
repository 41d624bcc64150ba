"""Bounds the memory of images that are decoded at the same time, whatever the number of threads.

An image claims the bytes of its file before they are read and those of its pixels before they are
decoded (`costs`); both are given back when its square is finished. A thread that claims more than
is left waits until others have finished. Files have a quarter of the limit: if those that wait for
pixels could fill it, the next image would exceed it. At least one image is always worked on, also
one that alone is larger than the limit.
"""

from __future__ import annotations

import threading
from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from shards.images import allocator

if TYPE_CHECKING:
    from collections.abc import Iterator

LIMIT: Final = 1 << 30
"""Bytes of all images of this process together, if `set_limit` was not called."""


class Budget:
    """Bytes that threads share.

    Args:
        limit: bytes in all.

    Attributes:
        limit: the same.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._changed = threading.Condition()
        self._used = 0
        self._working = 0  # images that have claimed something and do not wait
        self._waiting: deque[object] = deque()  # the first of them is the next to go on
        self._own = threading.local()

    def set_limit(self, limit: int) -> None:
        """Change the limit, also while threads wait."""
        with self._changed:
            self.limit = limit
            self._changed.notify_all()

    @contextmanager
    def image(self) -> Iterator[None]:
        """Give back, at the end, what this thread claims inside the block."""
        if getattr(self._own, "open", False):  # an image inside of another one's block
            yield
            return
        self._own.open, self._own.bytes = True, 0
        try:
            yield
        finally:
            self._own.open = False
            if self._own.bytes:
                with self._changed:
                    self._used -= self._own.bytes
                    self._working -= 1
                    self._changed.notify_all()

    def claim(self, size: int) -> None:
        """Wait until so many bytes are free, or no other image is worked on; then take them.

        Args:
            size: bytes; outside of `image` nothing is bounded.
        """
        if size <= 0 or not getattr(self._own, "open", False):
            return
        with self._changed:
            if self._own.bytes:
                self._working -= 1
            if self._waiting or not self._fits(size):
                ticket = object()
                self._waiting.append(ticket)
                self._changed.notify_all()  # this image may have been the last that was worked on
                self._changed.wait_for(lambda: self._waiting[0] is ticket and self._fits(size))
                self._waiting.popleft()
                self._changed.notify_all()
            self._used += size
            self._own.bytes += size
            self._working += 1

    def claimed(self) -> int:
        """Return what this thread has claimed in its block of `image`."""
        return self._own.bytes if getattr(self._own, "open", False) else 0

    def _fits(self, size: int) -> bool:
        return self._used + size <= self.limit or self._working == 0


_TRIMMED: Final = 64 << 20
"""Bytes of an image after which the allocator gives back what it keeps: some milliseconds beside a
tenth of a second or more of decoding."""


def _of_files(limit: int) -> int:
    return limit // 4


FILES: Final = Budget(_of_files(LIMIT))
"""Of the files of this process."""
PIXELS: Final = Budget(LIMIT - _of_files(LIMIT))
"""Of what is decoded in this process."""


def set_limit(limit: int) -> None:
    """Bound files and pixels of this process together.

    Args:
        limit: bytes.
    """
    FILES.set_limit(_of_files(limit))
    PIXELS.set_limit(limit - _of_files(limit))


@contextmanager
def image() -> Iterator[None]:
    """Give back, at the end, what this thread claims for an image inside the block."""
    with FILES.image(), PIXELS.image():
        try:
            yield
        finally:
            if PIXELS.claimed() >= _TRIMMED:  # before others take it
                allocator.trim()
