"""Local copies of tars from object storage: one while it is scored, one while it is fetched.

They, and the mirrors of outputs, are in $TMPDIR, below a folder of this process. What a killed
process left is removed by the next one on the same machine.
"""

from __future__ import annotations

import atexit
import os
import shutil
import socket
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Final

from shards.errors import StorageError
from shards.manifest import NAME as MANIFEST
from shards.remote import places, store
from shards.remote.download import fetch

_PREFIX: Final = "vocscore-scratch-"
_LONGEST: Final = 255
"""Bytes of a file's name; the last part of a key may be longer."""


@dataclass(frozen=True, slots=True)
class LocalCopy:
    """A tar on the local disk, in a folder of its own.

    Attributes:
        url: where it is from.
        file: the copy.
    """

    url: str
    file: str

    def remove(self) -> None:
        """Remove it; a second call does nothing."""
        shutil.rmtree(Path(self.file).parent, ignore_errors=True)


def local_copy(root: str, name: str, *, etag: str | None = None) -> LocalCopy:
    """Fetch a tar, and the manifest beside it if there is one.

    Args:
        root: URL of the folder that `name` is relative to.
        name: path of the tar.
        etag: what it must be; None: anything.

    Raises:
        FileNotFoundError: there is no such tar.
        StorageError: the storage does not give it, or it does not fit on the local disk.
    """
    url = places.join(root, name)
    folder = Path(tempfile.mkdtemp(dir=scratch_folder()))
    name_here = places.name(url)
    file = folder / (name_here if len(os.fsencode(name_here)) <= _LONGEST else "long-name.tar")
    try:
        fetch(url, file, etag=etag)
        manifest = _manifest(places.parent(url))
        if manifest is not None:
            (folder / MANIFEST).write_bytes(manifest)
    except OSError as error:
        shutil.rmtree(folder, ignore_errors=True)
        if isinstance(error, FileNotFoundError):
            raise
        why = str(error.strerror or error).lower()
        raise StorageError(
            f"{places.redacted(url)}: its local copy cannot be written in {folder.parent}: {why}. "
            "Set TMPDIR to a folder with room for some tars."
        ) from error
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return LocalCopy(url, str(file))


@lru_cache(maxsize=64)
def _manifest(folder: str) -> bytes | None:
    try:
        return None if places.is_http(folder) else store.read(places.join(folder, MANIFEST))
    except FileNotFoundError:
        return None


def scratch_folder() -> str:
    """Return the folder of this process for temporary files; it is made by the first call."""
    return _folder(os.getpid())


@cache
def _folder(pid: int) -> str:
    base = Path(tempfile.gettempdir())
    host = socket.gethostname()
    for left in base.glob(f"{_PREFIX}{host}-*"):
        if _is_left(left.name.removeprefix(f"{_PREFIX}{host}-").partition("-")[0]):
            shutil.rmtree(left, ignore_errors=True)
    made = tempfile.mkdtemp(prefix=f"{_PREFIX}{host}-{pid}-")
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    return made


def _is_left(pid: str) -> bool:
    """Whether no process has this number any more."""
    if not pid.isdecimal():
        return False
    with suppress(PermissionError):  # a process of another user
        try:
            os.kill(int(pid), 0)
        except ProcessLookupError:
            return True
    return False
