"""Opens regular files only, so that no call blocks on a pipe or device."""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from io import BufferedReader

_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


MOST_BYTES = 8 << 30
"""Maximum size of a file read whole (manifest, table, weights); larger means damaged or sparse."""


class NotAFileError(OSError):
    """The path exists but is not a regular file: opening or reading it could block forever.

    `strerror` says what it is instead: 'a named pipe, not a file'.
    """


def open_regular(path: str | os.PathLike[str]) -> int:
    """Open a regular file for reading.

    A pipe without a writer, a device or a socket is refused immediately, without blocking.

    Returns:
        A descriptor; the caller closes it.

    Raises:
        NotAFileError: it is not a regular file.
        OSError: it cannot be opened.
        ValueError: not a valid file name.
    """
    return open_sized(path)[0]


def open_sized(path: str | os.PathLike[str]) -> tuple[int, int]:
    """Open a regular file for reading, as `open_regular`.

    Returns:
        A descriptor, which the caller closes, and the size of the file, bytes.

    Raises:
        NotAFileError: it is not a regular file.
        OSError: it cannot be opened.
        ValueError: not a valid file name.
    """
    # Without O_NONBLOCK, opening a pipe waits for a writer. It has no effect on regular files.
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno != errno.ENXIO:
            raise
        # A socket or an absent device: "no such device or address" does not say which.
        mode = os.stat(path).st_mode  # noqa: PTH116 - a Path refuses what no path can be
    else:
        found = os.fstat(descriptor)
        mode = found.st_mode
        if stat.S_ISREG(mode):
            return descriptor, found.st_size
        os.close(descriptor)
    kind = next((name for is_kind, name in _KINDS if is_kind(mode)), "something else")
    raise NotAFileError(0, f"{kind}, not a file", os.fspath(path))


def read_regular(path: str | os.PathLike[str]) -> bytes:
    """Read a whole regular file.

    Raises:
        OSError: as for `open_regular`, or it cannot be read or is larger than `MOST_BYTES`.
        ValueError: not a valid file name.
    """
    with open(open_regular(path), "rb", buffering=0) as file:
        if os.fstat(file.fileno()).st_size > MOST_BYTES:
            raise OSError(errno.EFBIG, "larger than 8 GiB, the limit for this file", str(path))
        return file.read()


def open_binary(path: str | os.PathLike[str]) -> BufferedReader:
    """Open a regular file in binary mode for reading.

    Raises:
        OSError, ValueError: as for `open_regular`.
    """
    return open(open_regular(path), "rb")


def open_text(
    path: str | os.PathLike[str],
    *,
    encoding: str = "utf-8",
    errors: str = "strict",
    newline: str | None = None,
) -> TextIO:
    """Open a regular file in text mode for reading; the arguments are those of `open`.

    Raises:
        OSError, ValueError: as for `open_regular`.
    """
    return open(open_regular(path), encoding=encoding, errors=errors, newline=newline)
