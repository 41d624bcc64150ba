"""Makes thumbnails of rows in threads, and keeps the last ones in memory."""

from __future__ import annotations

from collections import OrderedDict
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Lock
from typing import TYPE_CHECKING, Final

from vocscore.machine import usable_cores
from vocscore.thumbnails.image_source import names_of, source_of
from vocscore.thumbnails.thumbnail import Facts, facts, preview, thumbnail

if TYPE_CHECKING:
    from vocscore.columns.dataset import Dataset

KEPT_BYTES: Final = 64 << 20


class Thumbnails:
    """Thumbnails of a dataset's rows. May be used by several threads.

    Args:
        dataset: whose images.
        kept_bytes: how many bytes of thumbnails are kept in memory.
    """

    def __init__(self, dataset: Dataset, *, kept_bytes: int = KEPT_BYTES) -> None:
        self._dataset = dataset
        self._source = source_of(dataset)
        self._most = kept_bytes
        self._bytes = 0
        self._lock = Lock()
        self._kept: OrderedDict[tuple[int, int], bytes] = OrderedDict()
        self._asked: dict[tuple[int, int], Future[bytes]] = {}
        self._turn = 0  # counts `forget`: what was begun before it is of other rows
        self._threads = ThreadPoolExecutor(usable_cores(), thread_name_prefix="thumbnail")

    def submit(self, row: int, side: int) -> Future[bytes]:
        """Make a thumbnail, or take the one that is kept or being made.

        Args:
            row: of the table.
            side: as for `thumbnail`; of rows with an error, a preview is made.

        Returns:
            The future JPEG, whose exception is `BadImage` if there is none.
        """
        key = (row, side)
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                done: Future[bytes] = Future()
                done.set_result(self._kept[key])
                return done
            if key not in self._asked or self._asked[key].cancelled():
                self._asked[key] = self._threads.submit(self._make, row, side, self._turn)
            return self._asked[key]

    def _make(self, row: int, side: int, turn: int) -> bytes:
        try:
            data = self.read(row)
            make = preview if self._dataset.table.failed[row] else thumbnail
            made = make(data, side, max_pixels=self._source.max_pixels)
        except BaseException:
            with self._lock:
                if turn == self._turn:
                    self._asked.pop((row, side), None)
            raise
        self._keep((row, side), made, turn)
        return made

    def _keep(self, key: tuple[int, int], made: bytes, turn: int) -> None:
        with self._lock:
            if turn != self._turn:
                return
            self._asked.pop(key, None)
            self._kept[key] = made
            self._bytes += len(made)
            while self._bytes > self._most and self._kept:
                _, old = self._kept.popitem(last=False)
                self._bytes -= len(old)

    def read(self, row: int) -> bytes:
        """Read a row's image file.

        Raises:
            BadImage: it cannot be found or read.
        """
        return self._source.read(*names_of(self._dataset, row))

    def facts(self, row: int) -> Facts:
        """Read the facts of a row's image.

        Raises:
            BadImage: it cannot be found or read, or has no header.
        """
        return facts(self.read(row))

    def forget(self) -> None:
        """Drop what is kept or being made: rows have changed."""
        with self._lock:
            self._turn += 1
            self._asked.clear()
            self._kept.clear()
            self._bytes = 0

    def close(self) -> None:
        """End the threads; what they are doing is finished first."""
        self._threads.shutdown(wait=True, cancel_futures=True)
