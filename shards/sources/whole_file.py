"""Reads a file of labels whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shards.errors import SourceError
from shards.files import read_regular

if TYPE_CHECKING:
    from pathlib import Path


def read_whole(file: Path) -> bytes:
    """Read a file of labels.

    Raises:
        SourceError: it cannot be read; gives the reason.
    """
    try:
        return read_regular(file)
    except OSError as error:
        raise SourceError(f"{file}: cannot be read: {error.strerror}.") from error
