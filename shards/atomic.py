"""Atomic writes: under its final name a file is complete or absent, whenever a process dies."""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def temporary(path: Path) -> Path:
    """The name of a file while it is being written: hidden, in the same folder.

    The name is fixed, so the next run overwrites what a killed run left; concurrent writers of
    one file must be excluded with `exclusive`.
    """
    return path.with_name(f".{path.name}.tmp")


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Open a file that durably takes its name when the block ends; an error leaves nothing behind.

    Args:
        path: the final name; an existing file is unchanged until the block has ended.

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
    """Write these bytes durably: after a crash the file has either the old or the new bytes.

    Raises:
        OSError: the folder is missing, full or read-only.
    """
    with replacing(path) as file:
        file.write(data)


def move(working: Path, path: Path) -> None:
    """Durably rename a file, already synced (fsync), to its final name.

    Args:
        working: the current path, on the same file system.
        path: the final path; an existing file is replaced.
    """
    working.replace(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Sync a folder's entries to disk: only after this is a rename durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Hold a lock file while the block runs; the system releases it when the process dies.

    The file remains unless the holder of the lock removes it.

    Raises:
        BlockingIOError: another process holds it.
        OSError: the file cannot be created.
    """
    descriptor = _locked(path)
    while not _is(descriptor, path):  # its last holder removed it after it was opened here
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
        pass  # a file system without locks (Lustre without -o flock): proceed unlocked
    return descriptor


def _is(descriptor: int, path: Path) -> bool:
    """Whether the path still refers to the open file."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
