"""The images in Parquet files, read in the order in which they lie there."""

from __future__ import annotations

from bisect import bisect_right
from collections import OrderedDict
from itertools import accumulate
from threading import Lock
from typing import TYPE_CHECKING, Final

from shards.errors import Fault, Reason, SourceError
from shards.sample import ImageRef
from shards.sources.hugging_face.parquet import opened

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

_BATCH_ROWS: Final = 16
_KEPT_BYTES: Final = 256 << 20
"""Bytes of images that were read before they were asked for; the threads that pack run ahead of
each other by some hundred images."""


class ParquetStore:
    """Images in a column of Parquet files.

    Asked for in the order of `position`, with a few threads ahead of each other, every row group
    is read once; any other order works, but reads row groups again.

    Args:
        files: the files, in order, each with the number of rows of its row groups.
        column: the column of images, a struct with a field 'bytes'.
        places: path of an image -> index of its file, and row.
    """

    def __init__(
        self,
        files: Sequence[tuple[Path, Sequence[int]]],
        column: str,
        places: Mapping[str, tuple[int, int]],
    ) -> None:
        self._arguments = files, column, places
        self._files = [file for file, _ in files]
        self._starts = [[0, *accumulate(groups)] for _, groups in files]
        self._column = column
        self._places = places
        self._stamps = [_stamp(file, sum(groups)) for file, groups in files]
        self._lock = Lock()
        self._kept: OrderedDict[tuple[int, int], bytes | None] = OrderedDict()
        self._kept_bytes = 0
        self._reading: Iterator[tuple[int, list[bytes | None]]] = iter(())
        self._file = self._group = -1
        self._next = 0

    def __reduce__(self) -> tuple[type[ParquetStore], tuple[object, ...]]:
        """Pickle it as it was opened, for another process that reads by itself."""
        return ParquetStore, self._arguments

    def position(self, path: str) -> tuple[int, int]:
        """Index of the file, and row."""
        return self._places[path]

    def stamp(self, path: str) -> tuple[int, int]:
        """The mean size of the file's rows in bytes, as the images' own is unknown; its time."""
        return self._stamps[self._places[path][0]]

    def ref(self, path: str) -> ImageRef:
        """Read one image."""
        at, row = self._places[path]
        file = self._files[at]
        try:
            with self._lock:
                data = self._take(at, row)
        except SourceError as error:
            self._file = -1  # what was being read cannot go on
            return ImageRef(path, str(file), fault=Fault(Reason.UNREADABLE, str(error)))
        if data is None:
            fault = Fault(Reason.MISSING, f"{file.name}, row {row} has no bytes, only a path")
            return ImageRef(path, str(file), fault=fault)
        return ImageRef(path, str(file), data=data)

    def _take(self, at: int, row: int) -> bytes | None:
        """The bytes of a row: kept ones, else read on, from the row's group if that is elsewhere.

        Raises:
            SourceError: the file cannot be read.
        """
        if (at, row) in self._kept:
            data = self._kept.pop((at, row))
            self._kept_bytes -= len(data or b"")
            return data
        starts = self._starts[at]
        group = bisect_right(starts, row) - 1
        if (at, group) != (self._file, self._group) or row < self._next:
            self._file, self._group, self._next = at, group, starts[group]
            self._reading = self._batches(at, group)
        for start, batch in self._reading:
            self._next = start + len(batch)
            found: bytes | None = None
            for offset, data in enumerate(batch):
                if start + offset == row:
                    found = data
                else:
                    self._keep((at, start + offset), data)
            if row < self._next:
                return found
        self._file = -1
        raise SourceError(f"{self._files[at]}: ends before row {row}. It has changed: pack again.")

    def _keep(self, key: tuple[int, int], data: bytes | None) -> None:
        if key not in self._kept:
            self._kept[key] = data
            self._kept_bytes += len(data or b"")
        while self._kept_bytes > _KEPT_BYTES:
            _, old = self._kept.popitem(last=False)
            self._kept_bytes -= len(old or b"")

    def _batches(self, at: int, group: int) -> Iterator[tuple[int, list[bytes | None]]]:
        """The rows of a row group from its first: the first row of each batch, and the bytes."""
        row = self._starts[at][group]
        with opened(self._files[at]) as parquet:
            for batch in parquet.iter_batches(
                batch_size=_BATCH_ROWS,
                row_groups=[group],
                columns=[f"{self._column}.bytes"],
                use_threads=False,
            ):
                values = batch.column(0).flatten()[0].to_pylist()  # the one field, or null
                yield row, values
                row += len(values)


def _stamp(file: Path, rows: int) -> tuple[int, int]:
    try:
        status = file.stat()
    except OSError:  # reading will say why
        return -1, -1
    return status.st_size // max(1, rows), status.st_mtime_ns
