"""Files that several processes write at once, on a shared file system or on object storage."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path


class Files(Protocol):
    """Named bytes in one folder. Every method may raise OSError.

    A file is complete or absent, and durable when the call that wrote it has returned.

    Attributes:
        place: the folder, as messages name it.
        at_once: so many files are read at the same time, where several are.
    """

    place: str
    at_once: int

    def open(self) -> None:
        """Make the folder, if it has to be made."""

    def create(self, name: str, data: bytes) -> bool:
        """Write a file whose name is free: of several processes, one is told True.

        Returns:
            False if the name is taken. That may be by an earlier try of this very call, whose
            answer was lost: compare what is there.
        """

    def put(self, name: str, data: bytes) -> None:
        """Write a file whose name says what is in it: writing it twice is harmless."""

    def put_file(self, name: str, source: BinaryIO) -> None:
        """Copy an open file from its position on, as `put` writes bytes."""

    def exists(self, name: str) -> bool:
        """Whether there is a file of this name."""

    def read(self, name: str) -> bytes:
        """Read a whole file.

        Raises:
            FileNotFoundError: there is none.
        """

    def local(self, name: str) -> Path:
        """Return a path to read a file from; a copy of it is only kept until the next call.

        Raises:
            FileNotFoundError: there is none.
        """

    def names(self) -> Iterator[str]:
        """List the names of all files, in any order; none if there is no folder."""

    def remove(self, names: Iterable[str]) -> None:
        """Remove files; those that are gone are no error."""

    def close(self) -> None:
        """Remove the folder if it is empty."""
