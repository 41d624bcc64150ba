"""Opens files that were found or named: ordinary ones only, so that nothing is waited for."""

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
"""Of a file that is read whole (a manifest, a table, weights); a larger one is damage or a hole."""


class NotAFileError(OSError):
    """It is there, and no ordinary file: opening or reading it could wait for ever.

    `strerror` says what it is instead: 'a named pipe, not a file'.
    """


def open_regular(path: str | os.PathLike[str]) -> int:
    """Open an ordinary file for reading.

    A pipe without a writer, a device or a socket is refused at once and never waited for.

    Returns:
        A descriptor; the caller closes it.

    Raises:
        NotAFileError: it is something else than an ordinary file.
        OSError: it cannot be opened.
        ValueError: no file can have this name.
    """
    # Without O_NONBLOCK, opening a pipe waits for its writer. On ordinary files it does nothing.
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno != errno.ENXIO:
            raise
        # A socket, or a device that is not there: "no such device or address" tells nobody which.
        mode = os.stat(path).st_mode  # noqa: PTH116 - a Path refuses what no path can be
    else:
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISREG(mode):
            return descriptor
        os.close(descriptor)
    kind = next((name for is_kind, name in _KINDS if is_kind(mode)), "something else")
    raise NotAFileError(0, f"{kind}, not a file", os.fspath(path))


def read_regular(path: str | os.PathLike[str]) -> bytes:
    """Read an ordinary file whole.

    Raises:
        OSError: as `open_regular`, or it cannot be read, or has more than `MOST_BYTES`.
        ValueError: no file can have this name.
    """
    with open(open_regular(path), "rb", buffering=0) as file:
        if os.fstat(file.fileno()).st_size > MOST_BYTES:
            raise OSError(errno.EFBIG, "larger than 8 GiB, the limit for this file", str(path))
        return file.read()


def open_binary(path: str | os.PathLike[str]) -> BufferedReader:
    """Open an ordinary file to read its bytes.

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
    """Open an ordinary file to read its text; the arguments are those of `open`.

    Raises:
        OSError, ValueError: as for `open_regular`.
    """
    return open(open_regular(path), encoding=encoding, errors=errors, newline=newline)
