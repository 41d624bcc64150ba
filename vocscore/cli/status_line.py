"""The last line of a terminal: drawn over and over, and gone while anything else is printed."""

from __future__ import annotations

import os
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from collections.abc import Iterator

DEFAULT_COLUMNS = 80
_MARGIN = 3
"""Columns left free: a terminal prints '^C' behind the line, and it must not wrap."""

_lock = threading.RLock()
_state: dict[str, StatusLine | None] = {"shown": None}


def is_terminal(stream: TextIO | None) -> bool:
    """Whether a line can be drawn over there; a dumb terminal only appends."""
    return stream is not None and stream.isatty() and os.environ.get("TERM") != "dumb"


def columns(stream: TextIO) -> int:
    """The width of a terminal: what it says itself, $COLUMNS, or 80."""
    try:
        width = os.get_terminal_size(stream.fileno()).columns
    except (OSError, ValueError):  # no terminal, or a stream in memory
        width = 0
    if width > 0:
        return width
    asked = os.environ.get("COLUMNS", "")
    return int(asked) if asked.isdecimal() and int(asked) > 0 else DEFAULT_COLUMNS


class StatusLine:
    """One line that is drawn in place. Close it.

    Only one is on the screen at a time. Whatever goes through the streams of `streams.py` hides it
    first (`room_for_text`), so that no text can land on it.

    Args:
        stream: a terminal (`is_terminal`).
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._text = ""
        self._drawing = False
        self._held = False

    @property
    def width(self) -> int:
        """Columns that a text may have; more is cut off."""
        return max(0, columns(self._stream) - _MARGIN)

    def show(self, text: str) -> None:
        """Draw a text in place of the one before."""
        with _lock:
            _state["shown"] = self
            before, self._text = self._text, text[: self.width]
            if not self._held:
                self._write("\r" + self._text.ljust(len(before)))

    def close(self) -> None:
        """Take the line off the screen."""
        with _lock:
            if _state["shown"] is self:
                if not self._held:
                    self._erase()
                _state["shown"] = None
            self._text, self._held = "", False

    def _erase(self) -> None:
        """Blank the whole line, with what a terminal may have echoed behind the text."""
        self._write("\r" + " " * max(0, columns(self._stream) - 1) + "\r")

    def _write(self, text: str) -> None:
        self._drawing = True
        try:
            self._stream.write(text)
            self._stream.flush()
        finally:
            self._drawing = False

    def give_way(self) -> None:
        """Leave the screen to a text that is about to be written, unless it is the line's own."""
        if not self._held:
            self._erase()

    def return_behind(self, data: bytes) -> None:
        """Come back behind a text; one that has not ended its line keeps the screen."""
        self._held = not data.rstrip(b"\0").endswith((b"\n", b"\r"))  # of UTF-16, '\n\0'
        if not self._held:
            self._write(self._text)

    @property
    def is_drawing(self) -> bool:
        """Whether what is being written is the line itself."""
        return self._drawing


@contextmanager
def room_for_text(data: bytes) -> Iterator[None]:
    """Hide the line that is on the screen while the block writes `data` there."""
    with _lock:
        line = _state["shown"]
        if line is None or line.is_drawing or not data:
            yield
            return
        line.give_way()
        yield
        line.return_behind(data)
