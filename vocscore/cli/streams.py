"""Standard streams that end no command: missing, full, left by their reader, of any encoding.

A run of hours must not fail by its last line. So for the time of a command

- descriptors 0 to 2 that are closed lead to the null device; otherwise the next file that is
  opened would get their number, and what a C library prints would be written into it. Processes
  that are started inherit them;
- streams that Python has not made, because they were closed, are made;
- a character that the encoding lacks is written as its escape (`\\u65e5`);
- what cannot be written is dropped, and the first reason kept for the message at the end.

Streams that somebody has put in the place of the process's own (a test, a notebook) are left alone.
"""

from __future__ import annotations

import codecs
import errno
import io
import os
import select
import sys
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, TextIO

from vocscore.cli.status_line import room_for_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from typing_extensions import Buffer

_NAMES = ("stdin", "stdout", "stderr")


class Outlet(io.BufferedIOBase):
    """Writes to a descriptor and never fails.

    Args:
        descriptor: it stays open.

    Attributes:
        name: the descriptor, as files have it.
        failure: why the first text could not be written; None while all could.
    """

    def __init__(self, descriptor: int) -> None:
        self.name = self._descriptor = descriptor
        self.failure: OSError | None = None

    def writable(self) -> bool:
        """It is."""
        return True

    def fileno(self) -> int:
        """The descriptor."""
        return self._descriptor

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        return os.isatty(self._descriptor)

    def write(self, data: Buffer, /) -> int:
        """Write all of it, or drop the rest."""
        whole = bytes(data)
        if self.isatty():
            with room_for_text(whole):
                self._write(whole)
        else:
            self._write(whole)
        return len(whole)

    def _write(self, whole: bytes) -> None:
        left = memoryview(whole)
        while left and self.failure is None:
            left = left[self._write_some(left) :]

    def _write_some(self, left: memoryview) -> int:
        """Write as much as goes at once; bytes written."""
        try:
            return os.write(self._descriptor, left)
        except BlockingIOError:  # another program has made the terminal or pipe non-blocking
            select.select([], [self._descriptor], [])
        except OSError as error:
            self.failure = error
        return 0


@contextmanager
def settled_streams() -> Iterator[None]:
    """Make the process's standard streams safe for the block, and put them back behind it."""
    _reserve_descriptors()
    before = {name: getattr(sys, name) for name in _NAMES}
    for name, stream in before.items():
        setattr(sys, name, _settled(name, stream))
    try:
        yield
    finally:
        for name, stream in before.items():
            with suppress(ValueError, AttributeError):  # closed meanwhile; None
                getattr(sys, name).flush()
            setattr(sys, name, stream)


def lost_output() -> OSError | None:
    """Why something could not be written to standard output; None where nothing was lost.

    That the reader has gone ('| head') is no loss: it has read what it wanted.
    """
    with suppress(ValueError, AttributeError):
        sys.stdout.flush()
    outlet = getattr(sys.stdout, "buffer", None)
    failure = outlet.failure if isinstance(outlet, Outlet) else None
    return None if failure is None or failure.errno == errno.EPIPE else failure


def _settled(name: str, stream: TextIO | None) -> TextIO | None:
    """The stream to use in place of one."""
    if stream is None or stream.closed:
        return _null(name)
    own = stream is getattr(sys, f"__{name}__")
    if name == "stdin" or not own or not isinstance(stream, io.TextIOWrapper):
        return stream
    with suppress(OSError):  # a full disk, or a reader that has gone: what was there is lost
        stream.flush()
    return io.TextIOWrapper(
        Outlet(stream.fileno()),
        encoding=_encoding(stream),
        errors="backslashreplace",
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )


def _encoding(stream: TextIO) -> str:
    """The stream's own, but UTF-8 for ASCII: that is the locale C, or none, and click does so."""
    return "utf-8" if codecs.lookup(stream.encoding).name == "ascii" else stream.encoding


def _null(name: str) -> TextIO | None:
    """A stream to and from nowhere."""
    mode, flags = ("rb", os.O_RDONLY) if name == "stdin" else ("wb", os.O_WRONLY)
    try:
        binary = os.fdopen(os.open(os.devnull, flags), mode)
    except OSError:  # no null device: Python's own None will have to do
        return None
    return io.TextIOWrapper(binary, encoding="utf-8", errors="backslashreplace")


def _reserve_descriptors() -> None:
    """Open the null device as each of descriptors 0 to 2 that is closed, for children too."""
    for descriptor in filter(_is_closed, range(3)):
        with suppress(OSError):
            null = os.open(os.devnull, os.O_RDWR)
            if null != descriptor:  # the numbers below it are taken, so it cannot be smaller
                os.dup2(null, descriptor)
                os.close(null)
            os.set_inheritable(descriptor, True)


def _is_closed(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return True
    return False
