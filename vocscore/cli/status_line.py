"""The status line at the bottom of a terminal, hidden while anything else is printed."""

from __future__ import annotations

import os
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from collections.abc import Iterator

DEFAULT_COLUMNS = 80
_MARGIN = 3
"""Columns left free: a terminal prints '^C' after the line, which must not wrap."""

_lock = threading.RLock()
_state: dict[str, StatusLine | None] = {"shown": None}


def is_terminal(stream: TextIO | None) -> bool:
    """Whether a line can be redrawn on the stream; a dumb terminal only appends."""
    return stream is not None and stream.isatty() and os.environ.get("TERM") != "dumb"


def columns(stream: TextIO) -> int:
    """Return the width of a terminal: as the terminal reports it, $COLUMNS, or 80."""
    try:
        width = os.get_terminal_size(stream.fileno()).columns
    except (OSError, ValueError):  # not a terminal, or a stream in memory
        width = 0
    if width > 0:
        return width
    asked = os.environ.get("COLUMNS", "")
    return int(asked) if asked.isdecimal() and int(asked) > 0 else DEFAULT_COLUMNS


class StatusLine:
    """One line that is drawn in place. Close it.

    Only one is on the screen at a time. Any text written through the streams of `streams.py` hides
    it first (`room_for_text`), so that the two do not mix.

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
        """Columns available for the text; the rest is cut off."""
        return max(0, columns(self._stream) - _MARGIN)

    def show(self, text: str) -> None:
        """Replace the text of the line."""
        with _lock:
            _state["shown"] = self
            before, self._text = self._text, text[: self.width]
            if not self._held:
                self._write("\r" + self._text.ljust(len(before)))

    def close(self) -> None:
        """Remove the line from the screen."""
        with _lock:
            if _state["shown"] is self:
                if not self._held:
                    self._erase()
                _state["shown"] = None
            self._text, self._held = "", False

    def _erase(self) -> None:
        """Blank the whole line, including what a terminal may have echoed after the text."""
        self._write("\r" + " " * max(0, columns(self._stream) - 1) + "\r")

    def _write(self, text: str) -> None:
        self._drawing = True
        try:
            self._stream.write(text)
            self._stream.flush()
        finally:
            self._drawing = False

    def give_way(self) -> None:
        """Hide the line before other text is written."""
        if not self._held:
            self._erase()

    def return_behind(self, data: bytes) -> None:
        """Redraw the line after other text, unless that text has not ended its line."""
        self._held = not data.rstrip(b"\0").endswith((b"\n", b"\r"))  # of UTF-16, '\n\0'
        if not self._held:
            self._write(self._text)

    @property
    def is_drawing(self) -> bool:
        """Whether the text being written is the line itself."""
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
