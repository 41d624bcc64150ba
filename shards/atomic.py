"""Atomic writes: under its final name a file is complete or absent, whenever a process dies."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import secrets
import socket
from contextlib import contextmanager, suppress
from functools import cache
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_TEMPORARY = re.compile(r"\.(?P<name>.+?)(\.(?P<host>[0-9a-f]{8})-(?P<pid>\d+)-[0-9a-f]{8})?\.tmp")
_swept: set[str] = set()


class NoLocksError(OSError):
    """The file system has no locks (Lustre without -o flock)."""


def temporary(path: Path) -> Path:
    """A name for a file while it is being written: hidden, in the same folder, used once.

    It holds the machine, the process and a random number, so that no two writers, wherever they
    run, share one; and so that what a killed process left can be recognized (`leftovers`).
    """
    mine = f"{_host()}-{os.getpid()}-{secrets.token_hex(4)}"
    return path.with_name(f".{path.name}.{mine}.tmp")


def final_name(name: str) -> str:
    """The name that a file will have: that of a temporary file without its additions."""
    found = _TEMPORARY.fullmatch(name)
    return found["name"] if found else name


def leftovers(path: Path) -> list[Path]:
    """Temporary files or folders for this name, left by killed processes of this machine."""
    return [left for left in _left_in(path.parent) if final_name(left.name) == path.name]


def unfinished(folder: Path) -> list[Path]:
    """All temporary files in a folder, of any machine: for those who hold the folder's lock."""
    names = [entry.name for entry in os.scandir(folder) if entry.name.endswith(".tmp")]
    return [folder / name for name in names if final_name(name) != name]


def sweep(folder: Path) -> None:
    """Remove the temporary files that killed processes of this machine left in a folder.

    A process looks once into each folder.
    """
    if str(folder) in _swept:
        return
    _swept.add(str(folder))
    for left in _left_in(folder):
        with suppress(OSError):  # a folder, or not ours to remove: it is in nobody's way
            left.unlink()


def _left_in(folder: Path) -> list[Path]:
    with suppress(OSError):
        names = [entry.name for entry in os.scandir(folder) if entry.name.endswith(".tmp")]
        return [folder / name for name in names if _is_left(name)]
    return []


def _is_left(name: str) -> bool:
    """Whether this name was used by a process of this machine that has ended."""
    found = _TEMPORARY.fullmatch(name)
    if found is None or found["host"] != _host():
        return False
    try:
        os.kill(int(found["pid"]), 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):  # another user's process
        return False
    return False


@cache
def _host() -> str:
    """Eight hexadecimal digits for this machine; process numbers of containers are their own."""
    try:
        numbers = os.stat("/proc/self/ns/pid").st_ino  # noqa: PTH116 - a link into the kernel
    except OSError:
        numbers = 0
    return hashlib.sha256(f"{socket.gethostname()}\0{numbers}".encode()).hexdigest()[:8]


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
    sweep(path.parent)
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
def exclusive(path: Path, *, required: bool = False) -> Iterator[None]:
    """Hold a lock file while the block runs; the system releases it when the process dies.

    The file remains unless the holder of the lock removes it.

    Args:
        path: the lock file.
        required: whether to refuse a file system without locks; otherwise the block runs unlocked.

    Raises:
        BlockingIOError: another process holds it.
        NoLocksError: there are no locks, but one is required.
        OSError: the file cannot be created.
    """
    descriptor = _locked(path, required=required)
    while not _is(descriptor, path):  # its last holder removed it after it was opened here
        os.close(descriptor)
        descriptor = _locked(path, required=required)
    try:
        yield
    finally:
        os.close(descriptor)


def _locked(path: Path, *, required: bool) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise
    except OSError as error:
        if required:
            os.close(descriptor)
            raise NoLocksError(error.errno, error.strerror, str(path)) from error
    return descriptor


def _is(descriptor: int, path: Path) -> bool:
    """Whether the path still refers to the open file."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
