"""Reads the files that marks name, each only if it is as it was stored."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, BinaryIO

from shards.files import open_binary
from vocscore.errors import ScoreError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from vocscore.scoring.output.files import Files
    from vocscore.scoring.output.marks import Mark, Stored


class DamagedPartError(ScoreError):
    """Files that marks name are missing, or not as they were stored.

    Attributes:
        numbers: the units.
    """

    def __init__(self, numbers: Sequence[int]) -> None:
        """Take the units."""
        super().__init__(
            f"units {', '.join(map(str, numbers))}: their parts or marks are missing or damaged, "
            "and count as not scored. Rerun the same command."
        )
        self.numbers = numbers


class Verified:
    """The files of all units in one role, in order; can be gone through again.

    Args:
        files: the folder.
        marks: of all units, in order.
        role: as in `Mark.files`; units that have none are left out.

    Attributes:
        marks: as given.
    """

    def __init__(self, files: Files, marks: Sequence[Mark], role: str) -> None:
        self.marks = marks
        self._files = files
        self._role = role

    def __iter__(self) -> Iterator[Path]:
        """Yield a path per unit; it may be gone when the next one is asked for.

        Raises:
            DamagedPartError: a file is not as it was stored.
        """
        for number, mark in enumerate(self.marks):
            stored = mark.files.get(self._role)
            if stored is None:
                continue
            path = self._checked(stored)
            if path is None:
                raise DamagedPartError([number, *self._damaged_after(number)])
            yield path

    def _damaged_after(self, number: int) -> Iterator[int]:
        for later in range(number + 1, len(self.marks)):
            stored = self.marks[later].files.get(self._role)
            if stored is not None and self._checked(stored) is None:
                yield later

    def _checked(self, stored: Stored) -> Path | None:
        return checked(self._files, stored)


def checked(files: Files, stored: Stored) -> Path | None:
    """Return the path of a file; None if it is gone, or not as it was stored."""
    try:
        path = files.local(stored.name)
    except FileNotFoundError:
        return None
    return path if stored.is_of(*hashed(path)) else None


def checked_bytes(files: Files, stored: Stored) -> bytes | None:
    """Return what is in a small file; None if it is gone, or not as it was stored."""
    try:
        data = files.read(stored.name)
    except FileNotFoundError:
        return None
    return data if stored.is_of(hashlib.sha256(data).hexdigest(), len(data)) else None


def hashed(file: Path) -> tuple[str, int]:
    """SHA-256 in hexadecimal, and bytes.

    Raises:
        OSError: it cannot be read.
    """
    with open_binary(file) as opened:
        return hashed_open(opened)


def hashed_open(file: BinaryIO) -> tuple[str, int]:
    """SHA-256 in hexadecimal, and bytes, of an open file from its position on."""
    digest, size = hashlib.sha256(), 0
    while piece := file.read(1 << 20):
        digest.update(piece)
        size += len(piece)
    return digest.hexdigest(), size
