"""Class names as text: which are equal, which look alike, which can be a column name."""

from __future__ import annotations

import unicodedata
from collections import Counter
from functools import lru_cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

LONGEST: Final = 200
"""Characters of a name; anything longer is a sentence or file contents in the wrong field."""
TAKEN: Final = frozenset({"path", "status", "error", "labels", "path_bytes"})
"""Columns that every predictions table has."""

_INVISIBLE: Final = dict.fromkeys(map(ord, "\u00ad\u200b\u2060\ufeff"))
"""Soft hyphen, zero-width space, word joiner, byte order mark: artifacts of copy and paste."""
_JOINERS: Final = dict.fromkeys(map(ord, "\u200c\u200d"))
"""Part of the spelling in Persian, in Indic languages and in some emoji."""
_JOINING: Final = frozenset(" _-")
_BETWEEN_LABELS: Final = (",", "|")


@lru_cache(maxsize=4096)
def canonical(name: str) -> str:
    """Normalize a name, so that names that differ only in how they are stored are equal.

    Accents are composed (NFC), each run of blanks of any kind becomes one blank, leading and
    trailing blanks and zero-width characters are removed. Line ends and tabs stay: they may
    separate two names.
    """
    visible = unicodedata.normalize("NFC", name.translate(_INVISIBLE))
    blanks = "".join(" " if unicodedata.category(one) == "Zs" else one for one in visible)
    return " ".join(part for part in blanks.split(" ") if part)


def folded(name: str) -> str:
    """A key shared by names that look alike: without case, letter width and joiners."""
    compatible = unicodedata.normalize("NFKC", canonical(name).translate(_JOINERS))
    return unicodedata.normalize("NFKC", compatible.casefold())


def name_fault(name: str) -> str | None:
    """Why a name cannot be stored in a column, a header or a list of names, and what to do.

    Returns:
        The end of a message that begins with the name's location; None for a valid class name.
    """
    why = _why_not(name)
    if why is None:
        return None
    shown = repr(name if len(name) <= LONGEST else f"{name[:40]}...")
    cure = "Rename it at the source"
    if name.isprintable() and len(name) <= LONGEST and name.strip():
        cure += f", or use `rename=[({name!r}, 'NEW')]`"
    return f"{shown} cannot be a class: it {why}. {cure}."


def _why_not(name: str) -> str | None:
    faults = (
        (not name.strip(), "is blank"),
        (name != name.strip(), "has leading or trailing blanks"),
        (
            not name.translate(_JOINERS).isprintable(),
            "contains a line break or other unprintable characters",
        ),
        (";" in name, "contains ';', which separates names in tables"),
        (name in TAKEN, "is the name of another column in the predictions"),
        (len(name) > LONGEST, f"has {len(name)} characters; the limit is {LONGEST}"),
    )
    return next((why for fault, why in faults if fault), None)


def look_alikes(names: Iterable[str]) -> list[list[str]]:
    """Groups of names that differ only in case or letter width; each sorted."""
    groups: dict[str, list[str]] = {}
    for name in sorted(set(names)):
        groups.setdefault(folded(name), []).append(name)
    return [group for group in groups.values() if len(group) > 1]


def joined_otherwise(names: Iterable[str]) -> list[list[str]]:
    """Groups of names that differ only in what joins their words: blank, '_', '-' or nothing."""
    groups: dict[str, list[str]] = {}
    for name in sorted(set(names)):
        words = "".join(one for one in folded(name) if one not in _JOINING)
        if words:
            groups.setdefault(words, []).append(name)
    return [group for group in groups.values() if len(group) > 1]


def several_in_one(names: Iterable[str]) -> list[str]:
    """The names that contain several labels, sorted.

    These are `['cat', 'dog']`, because of its brackets; `cat,dog` or `cat|dog` if one of the two
    is also a class of its own or part of another such name; and quoted `"cat"` if `cat` exists.

    Args:
        names: all names of the set.
    """
    distinct = set(names)
    parts = {name: _parts(name) for name in distinct}
    counts = Counter(part for found in parts.values() for part in set(found))
    counts.update(distinct)
    return sorted(
        name
        for name, found in parts.items()
        if (name.startswith("[") and name.endswith("]")) or any(counts[p] > 1 for p in found)
    )


def has_separator(name: str) -> bool:
    """Whether a name could contain several labels."""
    return len(_parts(name)) > 1


def is_quoted(name: str) -> bool:
    """Whether a name is enclosed in quotes."""
    return len(name) > 1 and name[0] == name[-1] and name[0] in "\"'"


def _parts(name: str) -> list[str]:
    for mark in _BETWEEN_LABELS:
        name = name.replace(mark, "\n")
    if "\n" not in name and not is_quoted(name):
        return []
    parts = (canonical(part.strip("\"' ")) for part in name.split("\n"))
    return [part for part in parts if part]
