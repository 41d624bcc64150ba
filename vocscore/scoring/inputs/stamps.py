"""Looks up sizes, modification times and, if asked for, hashes of images."""

from __future__ import annotations

import hashlib
import os
import posixpath
from typing import TYPE_CHECKING, Final

import numpy as np

from shards.files import open_binary
from vocscore.records.input_stamps import HASHED, PLAIN

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from vocscore.records.input_stamps import Stamps

_UNKNOWN: Final = (-1, 0)
_NAMES_BETWEEN_CALLS: Final = 4096


def stamped(
    root: str,
    names: Sequence[str],
    *,
    hashed: bool,
    listing: Callable[[int], None] | None = None,
) -> Stamps:
    """Look up files.

    Args:
        root: folder that the names are relative to.
        names: of the files.
        hashed: whether to read and hash every file, too.
        listing: called periodically with the number of files so far.

    Returns:
        One stamp per name, of dtype `HASHED` or `PLAIN`; a file that cannot be looked up or read
        has size -1.
    """
    stamps = np.empty(len(names), HASHED if hashed else PLAIN)
    for row, name in enumerate(names):
        if listing and row % _NAMES_BETWEEN_CALLS == 0:
            listing(row)
        path = posixpath.join(root, name)
        sized = _size_and_time(path)
        if not hashed:
            stamps[row] = sized
            continue
        sha256 = _sha256(path)
        stamps[row] = (*(sized if sha256 else _UNKNOWN), sha256 or bytes(32))
    return stamps


def _size_and_time(path: str) -> tuple[int, int]:
    try:
        status = os.stat(path)  # noqa: PTH116 - a Path raises on invalid paths, and is slower
    except (OSError, ValueError):
        return _UNKNOWN
    return status.st_size, status.st_mtime_ns


def _sha256(path: str) -> bytes | None:
    digest = hashlib.sha256()
    try:
        with open_binary(path) as file:
            while piece := file.read(1 << 20):
                digest.update(piece)
    except (OSError, ValueError):
        return None
    return digest.digest()
