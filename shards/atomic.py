"""Files that are whole under their name or not there at all, whatever dies in between."""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def temporary(path: Path) -> Path:
    """The name that a file has while it is being written: hidden, in the same folder.

    The name is always the same, so that what a killed run leaves is overwritten by the next one;
    two writers of one file have to be kept apart by `exclusive`.
    """
    return path.with_name(f".{path.name}.tmp")


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Open a file that takes its name, durably, when the block ends; an error leaves no trace.

    Args:
        path: the final name; a file of that name stays as it is until the block has ended.

    Yields:
        The file to write into, buffered.

    Raises:
        OSError: the folder is missing, full or read-only.
    """
    working = temporary(path)
    try:
        with working.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        move(working, path)
    except BaseException:
        with suppress(OSError):
            working.unlink(missing_ok=True)
        raise


def write(path: Path, data: bytes) -> None:
    """Give a file these bytes, durably: after a crash it has the old ones or the new ones.

    Raises:
        OSError: the folder is missing, full or read-only.
    """
    with replacing(path) as file:
        file.write(data)


def move(working: Path, path: Path) -> None:
    """Give a file whose bytes are on the disk (fsync) its final name, durably.

    Args:
        working: where it lies now, on the same file system.
        path: where it shall lie; a file of that name is replaced.
    """
    working.replace(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Bring a folder's names to the disk: a rename is only certain after this."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Hold a lock file while the block runs; the system lets go of it when the process dies.

    The file stays, unless whoever holds the lock removes it.

    Raises:
        BlockingIOError: another process holds it.
        OSError: the file cannot be made.
    """
    descriptor = _locked(path)
    while not _is(descriptor, path):  # removed by its last holder after it was opened here
        os.close(descriptor)
        descriptor = _locked(path)
    try:
        yield
    finally:
        os.close(descriptor)


def _locked(path: Path) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise
    except OSError:
        pass  # a file system without locks (Lustre without -o flock): nothing to hold
    return descriptor


def _is(descriptor: int, path: Path) -> bool:
    """Whether the path still names the open file."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
