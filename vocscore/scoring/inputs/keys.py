"""Finds the images and tars among the keys of object storage by the rules of `walk`."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

from shards.file_kinds import MACOS_FOLDER, Nature, count, kind_of, nature_of
from shards.paths import first_names, is_image
from vocscore.scoring.inputs.collector import NAMES_BETWEEN_CALLS, Collector
from vocscore.scoring.inputs.walk import Found

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

MOST_LOOKED_INTO: Final = 100
"""So many keys whose names do not say what they are may be looked into, at one request each."""
_ODD: Final = "keys with control characters, or an empty, '.' or '..' segment"
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
"""The storage's client does not read keys with these, nor with the segments above."""
_AS_FOLDERS: Final = "keys that end in '/'"
_TOLD: Final = 4  # one more than a message shows, so that it says how many others there are


class Key(Protocol):
    """An object below a prefix."""

    @property
    def name(self) -> str:
        """Its key relative to the prefix, with '/' between folders."""

    @property
    def size(self) -> int:
        """Bytes."""

    @property
    def etag(self) -> str | None:
        """Changes with its contents; None if the storage has none."""


@dataclass
class FoundKeys:
    """What is below a prefix.

    Attributes:
        found: as of a folder.
        entries: name -> key of the tars, and of the names that were passed over.
        keys: number of all keys.
    """

    found: Found = field(default_factory=Found)
    entries: dict[str, Key] = field(default_factory=dict)
    keys: int = 0


def find_keys(
    keys: Iterable[Key],
    *,
    head: Callable[[str], bytes],
    passed_over: Collection[str] = (),
    listing: Callable[[int], None] | None = None,
) -> FoundKeys:
    """Classify keys as `walk` does files, in one pass and in bounded memory.

    Names are in the order of code points afterwards, whatever order the keys come in. Keys of
    folders without contents are ignored. A key that cannot be read, such as 'a//b.jpg' or one with
    a line end, is counted and reported. Keys whose names do not say what they are are looked into
    if they are at most `MOST_LOOKED_INTO`; else they are counted and reported.

    Args:
        keys: below the prefix; those of a folder come in succession.
        head: reads the first `HEAD_BYTES` bytes of a key by its name; raises FileNotFoundError.
        passed_over: names without '/' that are neither listed nor counted.
        listing: called periodically with the number of images and tars found so far.
    """
    search = _Search(passed_over)
    for number, key in enumerate(keys):
        if number % NAMES_BETWEEN_CALLS == 0:
            search.images.relieve()
            if listing:
                listing(len(search.images) + len(search.found.tars))
        search.result.keys += 1
        search.take(key)
    search.finish(head)
    return search.result


class _Search:
    """What was found so far.

    Attributes:
        result: of the search, without the images.
        images: names of the images.
    """

    def __init__(self, passed_over: Collection[str]) -> None:
        self.result = FoundKeys()
        self.found = self.result.found
        self.images = Collector()
        self._passed_over = passed_over
        self._folder, self._is_entered = "", True
        self._left_out = ""  # the hidden folder that was counted last
        self._odd: list[str] = []
        self._odd_count = 0
        self._unclear: list[Key] = []
        self._unclear_count = 0

    def take(self, key: Key) -> None:
        """Classify one key."""
        path = key.name
        cut = path.rfind("/") + 1
        folder, name = path[:cut], path[cut:]
        if folder != self._folder:
            self._folder, self._is_entered = folder, self._enter(folder)
        if not name:
            if key.size:
                count(self.found.skipped, _AS_FOLDERS)
        elif not self._is_entered:
            if _is_odd(folder):
                self._take_odd(path)
        elif name in (".", "..") or (not path.isprintable() and _CONTROL.search(path)):
            self._take_odd(path)
        elif is_image(name):
            self.images.recent.append(path)
        elif not folder and name in self._passed_over:
            self.result.entries[name] = key
        elif name.startswith("."):
            count(self.found.skipped, kind_of(name, hidden=True))
        else:
            self._take_other(key, name)

    def _enter(self, folder: str) -> bool:
        """Whether the contents of a folder are listed; count a hidden one, once."""
        above = ""
        for part in folder[:-1].split("/") if folder else ():
            if part in ("", ".", ".."):
                return False
            above = f"{above}{part}/"
            if part.startswith(".") or part == MACOS_FOLDER:
                if above != self._left_out and not _is_odd(folder):
                    self._left_out = above
                    kind = MACOS_FOLDER if part == MACOS_FOLDER else "hidden"
                    count(self.found.skipped, f"{kind} folders")
                return False
        return True

    def _take_odd(self, path: str) -> None:
        count(self.found.skipped, _ODD)
        self._odd_count += 1
        if len(self._odd) < _TOLD:
            self._odd.append(path)

    def _take_other(self, key: Key, name: str) -> None:
        try:
            self._add(key, nature_of(name, _unknown if key.size else bytes))
        except _UnknownError:
            self._unclear_count += 1
            if len(self._unclear) < MOST_LOOKED_INTO:
                self._unclear.append(key)
            else:
                count(self.found.skipped, kind_of(name))

    def _add(self, key: Key, nature: Nature) -> None:
        path = key.name
        if nature is Nature.IMAGE:
            self.images.recent.append(path)
        elif nature is Nature.TAR:
            self.found.tars.append(path)
            self.result.entries[path] = key
        else:
            count(self.found.skipped, kind_of(path.rpartition("/")[2]))
            if nature is Nature.ARCHIVE:
                self.found.archives.append(path)

    def finish(self, head: Callable[[str], bytes]) -> None:
        """Look into the keys whose names do not say what they are, and sort."""
        found = self.found
        looked_into = self._unclear_count <= MOST_LOOKED_INTO
        for key in self._unclear:
            if looked_into:
                self._look_into(key, head)
            else:
                count(found.skipped, kind_of(key.name.rpartition("/")[2]))
        if not looked_into:
            found.problems.append(
                f"{_told([key.name for key in self._unclear], self._unclear_count)}: keys whose "
                f"names do not say what they are ({self._unclear_count} here) are not looked into "
                f"if there are more than {MOST_LOOKED_INTO}, and not scored; list those that are "
                "images in a .txt to score them"
            )
        if self._odd:
            found.problems.append(
                f"{_told(self._odd, self._odd_count)}: {_ODD} are not scored ({self._odd_count} "
                "here); rename them to score them"
            )
        for names in (found.tars, found.archives):
            names.sort()
        found.images = self.images.names()

    def _look_into(self, key: Key, head: Callable[[str], bytes]) -> None:
        name = key.name.rpartition("/")[2]
        try:
            first = head(key.name)
        except FileNotFoundError:
            count(self.found.skipped, "unreadable files")
        else:
            self._add(key, nature_of(name, lambda: first))


class _UnknownError(Exception):
    """A name does not say what a key is."""


def _unknown() -> bytes:
    raise _UnknownError


def _is_odd(folder: str) -> bool:
    """Whether a folder, with its trailing '/', is none that a file system could have."""
    parts = folder[:-1].split("/")
    return "" in parts or "." in parts or ".." in parts


def _told(names: list[str], number: int) -> str:
    """The first few names; `number` counts those that were not kept, too."""
    told = first_names(names[:3])
    return told if number <= 3 else f"{told} and {number - 3} others"
