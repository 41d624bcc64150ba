"""Copies a stretch of a file to a file of its own, with its holes."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, BinaryIO

from shards import atomic
from shards.files import open_regular

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_CHUNK_BYTES = 1 << 20


class ReadError(Exception):
    """The source cannot be read, so nothing can be copied."""


def write_copy(target: Path, source: int, offset: int, size: int) -> None:
    """Write a stretch of a file to a new file, whole or not at all.

    Args:
        target: is replaced; its folders are created.
        source: descriptor of the file.
        offset: of the first byte.
        size: bytes.

    Raises:
        ReadError: the source cannot be read.
        OSError: the copy cannot be written.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.is_dir():
        raise IsADirectoryError
    atomic.sweep(target.parent)
    working = atomic.temporary(target)
    # No fsync: a copy that a power failure has truncated has the wrong size, and is rewritten.
    try:
        with working.open("wb") as file:
            _pour(file, source, offset, size)
        working.replace(target)
    except BaseException:
        working.unlink(missing_ok=True)
        raise


def _pour(file: BinaryIO, source: int, offset: int, size: int) -> None:
    """Copy a range; holes are kept, otherwise one sparse file could fill the disk."""
    for at, piece in _pieces(source, offset, size):
        file.seek(at)
        file.write(piece)
    there = max(0, os.fstat(source).st_size - offset)  # it may have shrunk meanwhile
    file.truncate(min(size, there))


def _pieces(source: int, offset: int, size: int) -> Iterator[tuple[int, bytes]]:
    """Yield the data of a range, each with its offset in it; holes (zeros) are left out.

    Raises:
        ReadError: it cannot be read.
    """
    at, end = offset, offset + size
    try:
        while at < end:
            at, stop = _data_from(source, at, end)
            while at < stop:
                piece = os.pread(source, min(_CHUNK_BYTES, stop - at), at)
                if not piece:
                    return
                yield at - offset, piece
                at += len(piece)
    except OSError as error:
        raise ReadError from error


def _data_from(source: int, at: int, end: int) -> tuple[int, int]:
    """Return where the next data begins and ends; both are `end` if only a hole is left."""
    try:
        start = os.lseek(source, at, os.SEEK_DATA)
        return start, min(os.lseek(source, start, os.SEEK_HOLE), end)
    except OSError as error:
        if error.errno == errno.ENXIO:  # no data from there on
            return end, end
        return at, end  # a file system without holes: everything is data


def is_copy(target: Path, source: int, offset: int, size: int) -> bool:
    """Whether a file of the right size has the same bytes."""
    try:
        copy = open_regular(target)
    except OSError:
        return False
    try:
        # Data in one may be a hole in the other.
        return all(
            os.pread(copy, len(piece), at) == piece for at, piece in _pieces(source, offset, size)
        ) and all(
            os.pread(source, len(piece), offset + at) == piece
            for at, piece in _pieces(copy, 0, size)
        )
    except (OSError, ReadError):
        return False
    finally:
        os.close(copy)
