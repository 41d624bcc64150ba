"""`predictions.csv.files.npy`: size and modification time of every image, as it was scored.

A structured NumPy array, one item per row of the predictions beside it, in their order. With
`score --update` it tells which images have changed since. Its sha256 is in the record, so that
it cannot pass for the stamps of other predictions.
"""

from __future__ import annotations

import hashlib
import io
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from shards.files import open_binary, read_regular
from vocscore.errors import RecordError

if TYPE_CHECKING:
    from pathlib import Path

Stamps: TypeAlias = NDArray[np.void]
"""Shape (N,), of dtype `PLAIN` or `HASHED`."""

_FIELDS: Final = [("size", "<i8"), ("mtime_ns", "<i8")]
PLAIN: Final = np.dtype(_FIELDS)
"""Bytes, and nanoseconds since 1970. A size of -1: the file could not be looked up."""
HASHED: Final = np.dtype([*_FIELDS, ("sha256", "V32")])
"""And the hash of the file's bytes."""


def stamps_file(output: Path) -> Path:
    """The path of the stamps of predictions."""
    return output.with_name(f"{output.name}.files.npy")


def stamps_hash(data: bytes) -> str:
    """sha256 of the file, hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def encoded_stamps(stamps: Stamps) -> bytes:
    """The bytes of the file."""
    file = io.BytesIO()
    np.save(file, stamps, allow_pickle=False)
    return file.getvalue()


def is_stamps(file: Path) -> bool:
    """Whether a file is an array of stamps."""
    try:
        with open_binary(file) as opened:
            version = np.lib.format.read_magic(opened)
            read: Any = getattr(np.lib.format, f"read_array_header_{version[0]}_0")
            return read(opened)[2] in (PLAIN, HASHED)
    except (OSError, ValueError, AttributeError):
        return False


def read_stamps(file: Path, *, sha256: str, rows: int) -> Stamps:
    """Read the stamps of predictions.

    Args:
        file: as `stamps_file` returns it.
        sha256: what the record says.
        rows: of the predictions.

    Raises:
        RecordError: it is missing, or not that of the record.
        OSError: it cannot be read.
    """
    try:
        data = read_regular(file)
    except FileNotFoundError as error:
        raise RecordError(f"{file}: not found") from error
    if stamps_hash(data) != sha256:
        raise RecordError(f"{file}: belongs to other predictions")
    stamps: Stamps = np.load(io.BytesIO(data), allow_pickle=False)
    if stamps.dtype not in (PLAIN, HASHED) or stamps.shape != (rows,):
        raise RecordError(f"{file}: belongs to other predictions")
    return stamps
