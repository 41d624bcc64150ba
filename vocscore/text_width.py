"""Text in columns: how wide it is on a terminal, and names that have to fit."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

COLUMNS = 80
"""What every table fits: the width of a terminal that nobody has changed."""
ELLIPSIS = "…"


def cells(text: str) -> int:
    """Columns of a terminal that a text takes: two for wide (CJK) characters, none for accents."""
    return sum(map(_cells, text))


def shorten(text: str, most: int) -> str:
    """A text of at most so many columns, with an ellipsis in place of its middle.

    The ends stay, because names that share a beginning differ at their end.

    Args:
        text: one line.
        most: columns, at least 1.
    """
    if cells(text) <= most:
        return text
    free = most - cells(ELLIPSIS)
    return f"{_start(text, free - free // 2)}{ELLIPSIS}{_end(text, free // 2)}"


def pad(text: str, width: int) -> str:
    """A text with blanks behind it, so that it takes so many columns; a wider one stays."""
    return text + " " * (width - cells(text))


def wrap(parts: Sequence[str], *, begin: str = "", indent: str = "") -> list[str]:
    """Lines of parts with commas between, of at most `COLUMNS` columns unless a part is wider.

    Args:
        parts: what is listed; none is broken.
        begin: what the first line begins with.
        indent: what the others begin with.
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
    if unicodedata.category(character) in ("Mn", "Me", "Cf"):  # drawn onto the one before
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
        if _cells(text[place]):  # no accent without its letter
            begin = place
    return text[begin:]
