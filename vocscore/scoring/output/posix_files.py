"""`Files` in a folder of a file system that several machines may share."""

from __future__ import annotations

import errno
import os
import shutil
from contextlib import suppress
from typing import TYPE_CHECKING, BinaryIO

from shards import atomic
from shards.files import read_regular

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}


class NoLinksError(OSError):
    """The file system cannot give a file a second name, so no name can be taken by one only."""


class PosixFiles:
    """Files in a folder.

    Args:
        folder: made by `open`.
    """

    def __init__(self, folder: Path) -> None:
        self.place = str(folder)
        self.at_once = 1
        self._folder = folder

    def open(self) -> None:
        """Make the folder."""
        self._folder.mkdir(parents=True, exist_ok=True)

    def create(self, name: str, data: bytes) -> bool:
        """Write a file whose name is free, by a link: unlike a rename, it replaces nothing.

        NFS may repeat a request and answer 'exists' to its own success; then the bytes tell.

        Raises:
            NoLinksError: the file system has no links.
        """
        file = self._folder / name
        working = atomic.temporary(file)
        try:
            _write(working, data)
            try:
                os.link(working, file)
            except FileExistsError:
                return False
            except OSError as error:
                if error.errno in _NO_LINKS:
                    raise NoLinksError(error.errno, error.strerror, str(file)) from error
                raise
            atomic.sync_folder(self._folder)
        finally:
            with suppress(OSError):
                working.unlink(missing_ok=True)
        return True

    def put(self, name: str, data: bytes) -> None:
        """Write a file by a rename."""
        with atomic.replacing(self._folder / name) as file:
            file.write(data)

    def put_file(self, name: str, source: BinaryIO) -> None:
        """Copy a file."""
        with atomic.replacing(self._folder / name) as file:
            shutil.copyfileobj(source, file, 1 << 20)

    def exists(self, name: str) -> bool:
        """Whether there is a file of this name."""
        return (self._folder / name).exists()

    def read(self, name: str) -> bytes:
        """Read a whole file."""
        return read_regular(self._folder / name)

    def local(self, name: str) -> Path:
        """Return its path."""
        file = self._folder / name
        file.stat()
        return file

    def names(self) -> Iterator[str]:
        """List the names; those of files being written are left out."""
        try:
            names = os.listdir(self._folder)  # noqa: PTH208 - names only
        except FileNotFoundError:
            return
        yield from (name for name in names if atomic.final_name(name) == name)

    def remove(self, names: Iterable[str]) -> None:
        """Remove files."""
        for name in names:
            (self._folder / name).unlink(missing_ok=True)

    def close(self) -> None:
        """Remove the folder, and what killed processes of any machine left in it, and a lock."""
        with suppress(OSError):
            if set(self.names()) <= {"lock"}:
                (self._folder / "lock").unlink(missing_ok=True)
                for path in atomic.unfinished(self._folder):
                    path.unlink(missing_ok=True)
                self._folder.rmdir()


def _write(file: Path, data: bytes) -> None:
    with file.open("wb") as opened:
        opened.write(data)
        opened.flush()
        os.fsync(opened.fileno())
