"""Fetches the images of a unit from object storage ahead of the loader.

A request takes some 30 ms, whatever the machine does meanwhile: as many threads as cores would
leave the cores idle. So 64 threads, which only wait, fetch in the order of the rows; loaders get
references with the bytes in them. Images on a local disk do not pass here.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from threading import Condition
from typing import TYPE_CHECKING, Final, overload

from shards.errors import StorageError
from shards.remote import patience, places, store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Future

    from shards.sample import ImageRef

THREADS: Final = 64
MOST_BYTES: Final = 128 << 20
"""Fetched and not taken yet, or on the way, of one unit; two units are in progress. Only the first
of the rows that loaders wait for may exceed it."""
LARGEST: Final = 32 << 20
"""Bytes; a larger image is left to the loader, which may refuse it unread, and waits for memory.
Each thread of a loader has one that was fetched, beside the limit."""


class FetchedRefs(Sequence["ImageRef"]):
    """References whose bytes are fetched ahead. Must be closed.

    Args:
        refs: those that are on a local disk, in memory or faulty stay as they are.
        uses: how often each row is asked for; its bytes are kept until then.
    """

    def __init__(self, refs: Sequence[ImageRef], *, uses: int = 1) -> None:
        """Begin to fetch."""
        self._refs = refs
        self._uses = uses
        self._changed = Condition()
        self._held = 0  # bytes admitted and not released
        self._awaited: set[int] = set()
        self._waiting: set[int] = set()  # rows of which the bytes are not admitted yet
        self._beyond: int | None = None  # the row that exceeds the limit, until it is taken
        self._closed = False
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="vocscore-fetch")
        self._rows: dict[int, Future[bytes | None]] = {
            row: self._pool.submit(self._fetch, row, ref)
            for row, ref in enumerate(refs)
            if needs_fetching(ref)
        }
        self._left = dict.fromkeys(self._rows, uses)

    def __len__(self) -> int:
        """Number of images."""
        return len(self._refs)

    @overload
    def __getitem__(self, row: int) -> ImageRef: ...

    @overload
    def __getitem__(self, row: slice) -> Sequence[ImageRef]: ...

    def __getitem__(self, row: int | slice) -> ImageRef | Sequence[ImageRef]:
        """Return a reference with its bytes, when they have come.

        Raises:
            StorageError: the storage does not give them.
        """
        if isinstance(row, slice):
            return self._refs[row]
        row = int(row)
        ref = self._refs[row]
        fetched = self._rows.get(row)
        if fetched is None:
            return ref
        with self._changed:
            self._awaited.add(row)
            self._changed.notify_all()
        data = fetched.result()
        self._take(row, 0 if data is None else len(data))
        return ref if data is None else replace(ref, data=data, offset=0, size=-1)

    def close(self) -> None:
        """Stop fetching."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._rows.clear()

    def _take(self, row: int, size: int) -> None:
        with self._changed:
            self._no_longer_beyond(row)
            self._left[row] = self._left.get(row, 1) - 1
            if self._left[row] > 0:
                return
            self._rows.pop(row, None)
            self._awaited.discard(row)
            self._held -= size
            self._changed.notify_all()

    def _fetch(self, row: int, ref: ImageRef) -> bytes | None:
        """Return the bytes; None where the loader is to find out itself: missing, or very large."""
        for pause in (*patience.PAUSES, None):
            admitted = 0

            def look(size: int) -> None:
                nonlocal admitted
                if size > LARGEST:
                    raise _TooLargeError
                self._admit(row, size)
                admitted = size

            try:
                return store.read(ref.file, ref.offset, ref.size, look=look)
            except (FileNotFoundError, _TooLargeError):
                return None
            except StorageError as error:
                self._give_back(row, admitted)
                if pause is None or not error.passing or self._closed:
                    raise
                time.sleep(pause)
        raise AssertionError

    def _admit(self, row: int, size: int) -> None:
        """Wait until so many bytes fit, or a loader waits for them first: they must come."""
        with self._changed:
            self._waiting.add(row)
            self._changed.wait_for(
                lambda: self._closed or self._held + size <= MOST_BYTES or self._is_next(row)
            )
            self._waiting.discard(row)
            if self._held + size > MOST_BYTES:
                self._beyond = row
            self._held += size
            self._changed.notify_all()

    def _is_next(self, row: int) -> bool:
        """Whether a row may exceed the limit: the first that is waited for, if no other does."""
        if self._beyond is not None or row not in self._awaited:
            return False
        return row == min(self._awaited & self._waiting)

    def _no_longer_beyond(self, row: int) -> None:
        if self._beyond == row:
            self._beyond = None
            self._changed.notify_all()

    def _give_back(self, row: int, size: int) -> None:
        with self._changed:
            self._no_longer_beyond(row)
            self._held -= size
            self._changed.notify_all()


class _TooLargeError(Exception):
    """Not to be fetched ahead."""


def needs_fetching(ref: ImageRef) -> bool:
    """Whether an image lies in object storage."""
    here = ref.data is not None or ref.pixels is not None or ref.fault is not None
    return not here and places.is_remote(ref.file)


@contextmanager
def fetched(refs: Sequence[ImageRef], *, uses: int = 1) -> Iterator[Sequence[ImageRef]]:
    """Fetch ahead while the block runs, if some of the images are in object storage."""
    if not any(needs_fetching(ref) for ref in refs):
        yield refs
        return
    ahead = FetchedRefs(refs, uses=uses)
    try:
        yield ahead
    finally:
        ahead.close()
