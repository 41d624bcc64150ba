"""Parses single cells of a table: truth values and class names."""

from __future__ import annotations

import ast
import json
import re
from functools import lru_cache
from typing import Final

_YES: Final = ("1", "yes", "y", "true", "x", "✓", "✔", "☑")
_NO: Final = ("", "0", "no", "n", "false")
_NUMBER: Final = re.compile(r"([+-]?[01])[.,]0+")
"""1.0 as floats are written, and 1,0 with a decimal comma."""
_SPELLINGS: Final = {**dict.fromkeys(_YES, 1), **dict.fromkeys(_NO, 0), "-1": -1, "+1": 1}

MISSING_VALUES: Final = frozenset(
    {
        *("nan", "NaN", "NAN", "<NA>", "#N/A", "N/A", "n/a", "#NA", "NA"),
        *("NULL", "null", "None"),
    }
)
"""Common markers of a missing value: not classes, but not certainly 'no label' either."""

_BRACKETS: Final = {"[": "]", "(": ")", "{": "}"}
_EMPTY: Final = ("set()", "{}", "()")
_ITEM: Final = re.compile(
    r"""\s*(?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')\s*|\s*(?P<number>[+-]?\d+)\s*""",
    re.DOTALL,
)


_CHOICES: Final = re.compile(r"""\{\s*"choices"\s*:\s*(\[.*\])\s*\}""", re.DOTALL)
"""Label Studio's format for several labels of an image."""
_SHOWN: Final = 60
"""Characters of a cell shown in a message."""


class ListError(Exception):
    """A cell begins like a list but is not one."""


def quoted(cell: str) -> str:
    r"""A cell in a form that fits a one-line message, with bytes that are not text as \xNN."""
    text = cell if len(cell) <= _SHOWN else f"{cell[: _SHOWN - 3]}..."
    return re.sub(r"\\udc([89a-f][0-9a-f])", r"\\x\1", repr(text))


def bad_name(cell: str) -> str:
    """Say why a name is not a valid class name, and what to do; '' if it is valid."""
    if cell.isprintable():
        return "contains ';', which no class name may. Rename it." if ";" in cell else ""
    if any("\udc80" <= letter <= "\udcff" for letter in cell):
        return "is not UTF-8. Save the table as UTF-8 (in Excel: 'CSV UTF-8')."
    return "contains unprintable characters. Remove them."


@lru_cache(maxsize=4096)
def truth(cell: str) -> int | None:
    """Parse a cell of a class column.

    Returns:
        1 present, 0 absent or blank, -1 only 'difficult' instances; None for any other text.
    """
    text = cell.strip().casefold()
    if match := _NUMBER.fullmatch(text):
        text = str(int(match[1]))
    return _SPELLINGS.get(text)


def parse_list(cell: str) -> list[str] | None:
    r"""Parse a cell that is a list in the syntax of Python, JSON or NumPy.

    Numbers become strings. NumPy separates items by blanks instead of commas, and Python would
    concatenate such strings: so this is not `ast.literal_eval`.

    Returns:
        The names; None if the cell is not a list.

    Raises:
        ListError: it begins with '[' or '{' but cannot be parsed.
    """
    text = cell.strip()
    if text in _EMPTY:
        return []
    if text[:1] not in _BRACKETS:
        return None
    if (inner := _CHOICES.fullmatch(text)) is not None:
        text = inner[1]
    names = _items(text[1:-1]) if text[-1:] == _BRACKETS[text[0]] else None
    if names is None and text[0] != "(":  # '(unknown)' may well be a name
        raise ListError
    return names


def _items(text: str) -> list[str] | None:
    """The strings and numbers between commas or blanks."""
    names: list[str] = []
    at, rest = 0, text.rstrip()
    while at < len(rest):
        match = _ITEM.match(rest, at)
        if match is None or not match[0]:
            return None
        names.append(match["number"] or _unquote(match["text"]))
        after = match.end()
        if rest[after : after + 1] == ",":
            after += 1
        elif after < len(rest) and not rest[after - 1].isspace():
            return None
        at = after
    return names


def _unquote(text: str) -> str:
    try:
        return str(json.loads(text)) if text[0] == '"' else str(ast.literal_eval(text))
    except (ValueError, SyntaxError):
        return text[1:-1]
