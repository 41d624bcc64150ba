"""What stands between the class names in the cells of a table: what is certain, and what is not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

DEFAULT: Final = ";"
"""The documented one: it can be in no class name."""
COMMON: Final = (",", "|", "\n", "\t")
"""Those that are recognized where the cells prove them."""
_RARE: Final = ("/", "+", "&", ":", "-", "_", "#", "*", "~", "\\", ".")
"""Those that are never guessed, only asked about where the cells suggest them."""

_TOO_FEW: Final = 2
"""Names by which nothing can be told."""


class UncertainError(Exception):
    """A cell may be one class or several.

    Attributes:
        cell: an example.
        separator: what may stand between its names.
    """

    def __init__(self, cell: str, separator: str) -> None:
        """Keep both apart, so that the caller can say where the cell is."""
        super().__init__(cell, separator)
        self.cell = cell
        self.separator = separator


def split_names(cell: str, separator: str) -> list[str]:
    """The names in a cell, without blanks around them, in order; blank ones are dropped."""
    return [name for part in cell.split(separator) if (name := part.strip())]


def find_separator(cells: Collection[str], *, several: bool, one_a_row: Callable[[], bool]) -> str:
    """Tell what stands between names.

    ';' where there is one. Else ',', '|' and line ends where most names that they part also stand
    alone in cells. A blank is never taken for a separator, and never for part of a name where the
    names beside it occur in other cells, too.

    Args:
        cells: the different ones, without blanks around them and not blank.
        several: whether the column's name promises several names a cell, as 'tags' does.
        one_a_row: tells whether images have several rows with one name each. Called at most once.

    Returns:
        The separator; ';' where no cell has several names.

    Raises:
        UncertainError: a guess would be needed.
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
    """The separator that the cells prove; ';' where none has any.

    Raises:
        UncertainError: some may have one, and do not prove it.
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
    """A name that falls apart into other names at a mark, if there is one."""
    for name in sorted(name for name in names if mark in name):
        parts = split_names(name, mark)
        if len(parts) > 1 and all(part in names for part in parts):
            return name
    return None


def _like_tags(names: Collection[str], *, several: bool) -> str | None:
    """A name with blanks that may be several; None where such names are certainly one each.

    'traffic light' is one name where neither word occurs elsewhere. Words that come back, as in
    'haze primary' and 'clear primary', may be names of their own; of two names nothing can be told.
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
