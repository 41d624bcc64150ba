"""Standard streams whose errors do not end a command: closed, full, without a reader, any encoding.

A run of hours must not fail because of its last printed line. So, while a command runs,

- closed descriptors among 0 to 2 are opened on the null device; otherwise the next file that is
  opened would get their number, and the output of C libraries would be written into it. Child
  processes inherit them;
- streams that Python did not create, because they were closed, are created;
- a character that the encoding lacks is written as its escape (`\\u65e5`);
- text that cannot be written is dropped, and the first reason is kept for a message at the end.

Streams that replace those of the process (in a test or a notebook) are not changed.
"""

from __future__ import annotations

import codecs
import errno
import io
import os
import select
import sys
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, BinaryIO, TextIO, cast

from vocscore.cli.status_line import room_for_text
from vocscore.errors import ScoreError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from typing_extensions import Buffer

_NAMES = ("stdin", "stdout", "stderr")


class Outlet(io.BufferedIOBase):
    """Writes to a descriptor and never fails.

    Args:
        descriptor: not closed with the object.

    Attributes:
        name: the descriptor, as in file objects.
        failure: the first error of writing; None if there was none.
    """

    def __init__(self, descriptor: int) -> None:
        self.name = self._descriptor = descriptor
        self.failure: OSError | None = None

    def writable(self) -> bool:
        """Return true."""
        return True

    def fileno(self) -> int:
        """Return the descriptor."""
        return self._descriptor

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        return os.isatty(self._descriptor)

    def write(self, data: Buffer, /) -> int:
        """Write the data; after an error, drop the rest."""
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
        """Write as much as is possible in one call; return the number of bytes."""
        try:
            return os.write(self._descriptor, left)
        except BlockingIOError:  # another program has made the terminal or pipe non-blocking
            select.select([], [self._descriptor], [])
        except OSError as error:
            self.failure = error
        return 0


class StrictOutlet(Outlet):
    """Writes to a descriptor, and raises the first error of writing."""

    def write(self, data: Buffer, /) -> int:
        """Write the data.

        Raises:
            OSError: it cannot be written.
        """
        size = super().write(data)
        if self.failure is not None:
            raise self.failure
        return size


@contextmanager
def rows_to_stdout() -> Iterator[BinaryIO]:
    """Reserve standard output for rows during the block, which must not be mixed with messages.

    What libraries and child processes print there goes to standard error.

    Raises:
        ScoreError: standard output is closed.
    """
    text = sys.stdout
    if text is None or sys.__stdout__ is None:
        raise ScoreError("standard output is closed. Redirect it, or name a file with -o.")
    text.flush()
    outlet = text.buffer
    if not isinstance(outlet, Outlet):  # somebody's own stream
        yield outlet
        return
    kept = os.dup(outlet.fileno())
    try:
        os.dup2(2, outlet.fileno())
        yield cast("BinaryIO", StrictOutlet(kept))
    finally:
        text.flush()
        os.dup2(kept, outlet.fileno())
        os.close(kept)


@contextmanager
def settled_streams() -> Iterator[None]:
    """Replace the process's standard streams by safe ones for the block."""
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
    """Return why something could not be written to standard output; None if nothing was lost.

    A reader that has gone ('| head') does not count: it has read what it needed.
    """
    with suppress(ValueError, AttributeError):
        sys.stdout.flush()
    outlet = getattr(sys.stdout, "buffer", None)
    failure = outlet.failure if isinstance(outlet, Outlet) else None
    return None if failure is None or failure.errno == errno.EPIPE else failure


def _settled(name: str, stream: TextIO | None) -> TextIO | None:
    """Return the stream to use in place of another."""
    if stream is None or stream.closed:
        return _null(name)
    own = stream is getattr(sys, f"__{name}__")
    if name == "stdin" or not own or not isinstance(stream, io.TextIOWrapper):
        return stream
    with suppress(OSError):  # a full disk, or a reader that has gone: buffered text is lost
        stream.flush()
    return io.TextIOWrapper(
        Outlet(stream.fileno()),
        encoding=_encoding(stream),
        errors="backslashreplace",
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )


def _encoding(stream: TextIO) -> str:
    """Return the stream's encoding, but UTF-8 for ASCII (the C locale, or none), like click."""
    return "utf-8" if codecs.lookup(stream.encoding).name == "ascii" else stream.encoding


def _null(name: str) -> TextIO | None:
    """Return a stream on the null device."""
    mode, flags = ("rb", os.O_RDONLY) if name == "stdin" else ("wb", os.O_WRONLY)
    try:
        binary = os.fdopen(os.open(os.devnull, flags), mode)
    except OSError:  # no null device: Python uses None, too
        return None
    return io.TextIOWrapper(binary, encoding="utf-8", errors="backslashreplace")


def _reserve_descriptors() -> None:
    """Open the null device as each closed descriptor among 0 to 2, inherited by children."""
    for descriptor in filter(_is_closed, range(3)):
        with suppress(OSError):
            null = os.open(os.devnull, os.O_RDWR)
            if null != descriptor:  # smaller numbers are in use, so it is larger
                os.dup2(null, descriptor)
                os.close(null)
            os.set_inheritable(descriptor, True)


def _is_closed(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return True
    return False
