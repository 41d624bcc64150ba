"""Text in terminal columns: its width, and how to fit names."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

COLUMNS = 80
"""The width of every table: that of a default terminal."""
ELLIPSIS = "…"


def cells(text: str) -> int:
    """Terminal columns of a text: two for wide (CJK) characters, none for combining accents."""
    return sum(map(_cells, text))


def shorten(text: str, most: int) -> str:
    """Shorten a text to a number of columns, with an ellipsis for its middle.

    The ends are kept, because names with the same beginning differ at their end.

    Args:
        text: one line.
        most: columns, at least 1.
    """
    if cells(text) <= most:
        return text
    free = most - cells(ELLIPSIS)
    return f"{_start(text, free - free // 2)}{ELLIPSIS}{_end(text, free // 2)}"


def pad(text: str, width: int) -> str:
    """Pad a text with blanks to a number of columns; a wider one is unchanged."""
    return text + " " * (width - cells(text))


def wrap(parts: Sequence[str], *, begin: str = "", indent: str = "") -> list[str]:
    """Join parts with commas into lines of at most `COLUMNS` columns, unless a part is wider.

    Args:
        parts: what is listed; none is broken.
        begin: start of the first line.
        indent: start of the other lines.
    """
    lines, line, empty = [], begin, True
    for place, part in enumerate(parts):
        text = part if place == len(parts) - 1 else f"{part},"
        if not empty and cells(line) + 1 + cells(text) > COLUMNS:
            lines.append(line)
            line, empty = indent, True
        line += text if empty else f" {text}"
        empty = False
    return [*lines, line]


def _cells(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me", "Cf"):  # drawn onto the character before
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _start(text: str, most: int) -> str:
    taken = 0
    for place, character in enumerate(text):
        taken += _cells(character)
        if taken > most:
            return text[:place]
    return text


def _end(text: str, most: int) -> str:
    taken, begin = 0, len(text)
    for place in range(len(text) - 1, -1, -1):
        taken += _cells(text[place])
        if taken > most:
            break
        if _cells(text[place]):  # keep an accent with its letter
            begin = place
    return text[begin:]
