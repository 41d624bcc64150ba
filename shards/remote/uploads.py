"""Writes one object in parts."""

from __future__ import annotations

import io
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from shards.errors import StorageError
from shards.remote.failures import written

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from shards.remote.opening import Object


class Upload(io.RawIOBase):
    """A file that becomes an object when `complete` is called, and nothing otherwise.

    Args:
        place: the object; it is replaced if it is there.
        url: its URL, for errors.
        part_bytes: size of a part; so much is in memory, some times over.
    """

    def __init__(self, place: Object, url: str, *, part_bytes: int) -> None:
        import obstore

        self._url = url
        self._written = 0
        with written(url):
            self._writer: Any = obstore.open_writer(
                place.store, place.key, buffer_size=part_bytes, max_concurrency=4
            )
            self._writer.__enter__()

    def writable(self) -> bool:
        """Return True."""
        return True

    def write(self, data: Buffer) -> int:
        """Add bytes.

        Raises:
            StorageError: a part could not be uploaded.
        """
        with written(self._url):
            self._writer.write(data)
        size = memoryview(data).nbytes
        self._written += size
        return size

    def tell(self) -> int:
        """Return the number of bytes written."""
        return self._written

    def complete(self) -> None:
        """Make the object visible.

        Raises:
            StorageError: it could not be completed.
        """
        with written(self._url):
            self._writer.close()

    def abort(self, error: BaseException) -> None:
        """Drop what was uploaded; where the storage does not answer, some pieces stay hidden."""
        with suppress(StorageError), written(self._url):
            self._writer.__exit__(type(error), error, error.__traceback__)
