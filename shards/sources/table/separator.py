"""Determines the separator of class names in the cells of a table, or that it is ambiguous."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

DEFAULT: Final = ";"
"""The documented separator, which class names cannot contain."""
COMMON: Final = (",", "|", "\n", "\t")
"""Separators that are recognized if the cells prove them."""
_RARE: Final = ("/", "+", "&", ":", "-", "_", "#", "*", "~", "\\", ".")
"""Separators that are never assumed; if the cells suggest one, the user must decide."""

_TOO_FEW: Final = 2
"""Number of names too small to draw conclusions from."""


class UncertainError(Exception):
    """A cell may be one class or several.

    Attributes:
        cell: an example.
        separator: the possible separator of its names.
    """

    def __init__(self, cell: str, separator: str) -> None:
        """Keep both separate, so that the caller can add the location of the cell."""
        super().__init__(cell, separator)
        self.cell = cell
        self.separator = separator


def split_names(cell: str, separator: str) -> list[str]:
    """The names in a cell, stripped, in order; blank ones are dropped."""
    return [name for part in cell.split(separator) if (name := part.strip())]


def find_separator(cells: Collection[str], *, several: bool, one_a_row: Callable[[], bool]) -> str:
    """Find the separator of names.

    ';' if any cell contains one. Else ',', '|', a line end or a tab, if most names that it
    separates also occur alone in cells. A blank is never assumed to be a separator, nor to be
    part of a name if the words around it also occur in other cells.

    Args:
        cells: the distinct cells, stripped and not blank.
        several: whether the column's name implies several names per cell, as 'tags' does.
        one_a_row: returns whether images have several rows with one name each. Called at most
            once.

    Returns:
        The separator; ';' if no cell has several names.

    Raises:
        UncertainError: the separator is ambiguous.
    """
    used = _used(cells)
    names = {name for cell in cells for name in split_names(cell, used)}
    for mark in COMMON:
        if example := _made_of_others(names, mark):
            raise UncertainError(example, mark)
    if used == DEFAULT and not any(DEFAULT in cell for cell in cells):
        found = ((_made_of_others(names, mark), mark) for mark in (" ", *_RARE))
        for example, mark in (*found, (_like_tags(names, several=several), " ")):
            if example:
                if one_a_row():
                    break
                raise UncertainError(example, mark)
    return used


def _used(cells: Collection[str]) -> str:
    """The separator that the cells prove; ';' if no cell contains one.

    Raises:
        UncertainError: some cells may contain one, but do not prove it.
    """
    if any(DEFAULT in cell for cell in cells):
        return DEFAULT
    suspects = {mark: [cell for cell in cells if mark in cell] for mark in COMMON}
    suspects = {mark: found for mark, found in suspects.items() if found}
    alone = {cell for cell in cells if not any(mark in cell for mark in COMMON)}
    proven = [mark for mark, found in suspects.items() if _most_stand_alone(found, mark, alone)]
    if len(proven) == 1:
        return proven[0]
    for mark, found in suspects.items():
        raise UncertainError(min(found), mark)
    return DEFAULT


def _most_stand_alone(cells: Iterable[str], mark: str, alone: Collection[str]) -> bool:
    parts = {name for cell in cells for name in split_names(cell, mark)}
    return 2 * sum(part in alone for part in parts) > len(parts)


def _made_of_others(names: Collection[str], mark: str) -> str | None:
    """A name that a separator splits into other names, if there is one."""
    for name in sorted(name for name in names if mark in name):
        parts = split_names(name, mark)
        if len(parts) > 1 and all(part in names for part in parts):
            return name
    return None


def _like_tags(names: Collection[str], *, several: bool) -> str | None:
    """A name with blanks that may be several names; None if all such names are certainly one.

    'traffic light' is one name if neither word occurs elsewhere. Recurring words, as in
    'haze primary' and 'clear primary', may be separate names; two names are too few to tell.
    """
    seen: dict[str, int] = {}
    words: Mapping[str, set[str]] = {name: set(name.split()) for name in names}
    for found in words.values():
        for word in found:
            seen[word] = seen.get(word, 0) + 1
    blank = sorted(name for name, found in words.items() if len(found) > 1)
    for name in blank:
        again = [seen[word] > 1 for word in words[name]]
        if all(again) or (several and any(again)):
            return name
    return blank[0] if blank and several and len(blank) == len(names) <= _TOO_FEW else None
