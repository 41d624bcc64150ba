"""Names the copies of bad inputs in the quarantine."""

from __future__ import annotations

import hashlib
import os
import re
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from vocscore.scoring.bad_inputs.bad_records import BadRecord

_ROOT, _OTHER = "_root", "_other"
_LONGEST_PART = 200
"""Bytes between two '/'; file systems allow 255, and the temporary name is longer."""
_LONGEST_NAME = 800
"""Characters of a path; the system allows 4096 bytes, including the path of the folder."""


class Places:
    """Gives each bad input a unique name.

    Members of one tar, or of several packed shards, may have the same name. The first one that is
    requested gets it, the others are numbered; later requests return the same name.

    Args:
        reserved: names of the quarantine's own files.

    Attributes:
        shared: names of more than one input.
    """

    def __init__(self, *, reserved: Iterable[str]) -> None:
        self._reserved = frozenset({*reserved, _ROOT, _OTHER})
        self._numbers: dict[tuple[str, str, int], int] = {}
        self._used: Counter[str] = Counter()
        self.shared: set[str] = set()

    def of(self, bad: BadRecord) -> Iterator[str]:
        """Return names for the copy, relative to the folder: its own, else one with a hash."""
        name, number = bad.path, self._number(bad)
        if number:
            return iter([_hashed(name, f"{name}\0{number}")])
        return self._of_first(name)

    def start_over(self) -> None:
        """Reset the numbers, but not which names are shared."""
        self._numbers.clear()
        self._used.clear()

    def _number(self, bad: BadRecord) -> int:
        """Return 0 for the first input with a name, 1 for the next; an input keeps its number."""
        if bad.size < 0:  # a file is identified by its name; a list may contain it twice
            return 0
        key = (bad.path, bad.file, bad.offset)
        number = self._numbers.get(key)
        if number is None:
            number = self._numbers[key] = self._used[bad.path]
            self._used[bad.path] += 1
            if number:
                self.shared.add(bad.path)
        return number

    def _of_first(self, name: str) -> Iterator[str]:
        kept = f"{_ROOT}{name}" if name.startswith("/") else name
        parts = kept.split("/")
        plain = len(name) <= _LONGEST_NAME and all(_is_plain(part) for part in parts)
        if plain and (name.startswith("/") or parts[0] not in self._reserved):
            yield kept
        yield _hashed(name, name)


def _hashed(name: str, what: str) -> str:
    digest = hashlib.sha256(what.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    base = re.sub(r"[^A-Za-z0-9._-]", "_", name.rpartition("/")[2])[-80:]
    return f"{_OTHER}/{digest}-{base}"


def _is_plain(part: str) -> bool:
    try:
        length = len(os.fsencode(part))
    except UnicodeEncodeError:
        return False
    return part not in {"", ".", ".."} and "\0" not in part and length <= _LONGEST_PART
