"""Finds the images that a table or a JSON file names, and reports the missing ones."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from shards.errors import Fault, Reason, SourceError
from shards.paths import shown
from shards.sample import Rejection
from shards.sources.missing_hint import missing_hint
from shards.sources.named_files import Found, How, NamedFiles, local_path
from shards.sources.words import counted

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_SHOWN = 3
"""Number of unmatched names shown in a message."""


class _Missing(NamedTuple):
    """A name that matches no file, and its location: 'line 3'."""

    text: str
    where: str


class _Spelling(NamedTuple):
    """A name that differs from its file's: the path it denotes, its text, and its location."""

    place: str
    text: str
    where: str


class Finder:
    """Finds the images of one list by name, and records those not found.

    Args:
        root: the folder that names are relative to.
        file: the list, as named in errors.
        label: its name in notes and rejections; by default the file name.
    """

    def __init__(self, root: Path, file: Path, *, label: str | None = None) -> None:
        self._root = root
        self._file = file
        self._label = label or file.name
        self._files = NamedFiles(root)
        self._differing: dict[How, list[str]] = {}
        self._missing: dict[str, _Missing] = {}
        self._outside: list[_Missing] = []
        self._found: set[str] = set()
        self._spelled: dict[str, _Spelling] = {}

    def has(self, text: str, *, base: str = "") -> bool:
        """Whether a name matches one file below the root; nothing is recorded.

        Args:
            text: the name as written.
            base: as for `NamedFiles.find`.
        """
        try:
            return self._files.find(text, base=base) is not None
        except ValueError:  # blank, or out of the root
            return False

    def find(self, text: str, where: str, *, base: str = "") -> str:
        """Find one image.

        Args:
            text: the name as written.
            where: its location, such as 'line 3'.
            base: as for `NamedFiles.find`.

        Returns:
            The path relative to the root, in the form of `Sample.path`, whether the file exists
            or not; the text itself if it leads out of the root, which `check` refuses.

        Raises:
            SourceError: the name is blank, or a second name for the same file; gives its location.
        """
        if not text.strip():
            raise SourceError(f"{self._file}, {where}: path {text!r} is blank. Name the image.")
        try:
            found = self._files.find(text, base=base)
            path = found.path if found else self._files.place(text, base=base)
        except ValueError:
            self._outside.append(_Missing(text, where))
            return text
        if found is None:
            self._missing.setdefault(path, _Missing(text, where))
            return path
        if found.how is not How.EXACT or path in self._spelled:
            self._refuse_other_spelling(found, self._files.place(text, base=base), text, where)
        self._found.add(path)
        return path

    def _refuse_other_spelling(self, found: Found, place: str, text: str, where: str) -> None:
        """Refuse two names for one file, one of them inexact: they may mean different images.

        Raises:
            SourceError: with both names.
        """
        first = self._spelled.get(found.path)
        if first is None and found.path not in self._found:
            self._spelled[found.path] = _Spelling(place, text, where)
            self._differing.setdefault(found.how, []).append(text)
        elif first is None or first.place != place:
            other = f"{first.text!r} ({first.where})" if first else "another row"
            raise SourceError(
                f"{self._file}, {where}: {text!r} and {other} both match {found.path!r}. "
                "Correct one of the names."
            )

    def rejected(self) -> Iterator[Rejection]:
        """The missing images."""
        for path, missing in self._missing.items():
            detail = f"named in {self._label}, {missing.where}; no such file"
            if rivals := self._files.rivals(path):
                detail += f", and {len(rivals)} images with this stem: {', '.join(rivals)}"
            if not _is_utf8(path):
                detail += "; the name is not UTF-8: save the list as UTF-8"
            yield Rejection(path, Fault(Reason.MISSING, detail))

    def check(self) -> None:
        """Refuse a list in which a name leads out of the root, or no name matches a file.

        Raises:
            SourceError: with the first such names, and a folder where they would match.
        """
        if self._outside:
            raise SourceError(self._lead_out())
        if self._missing and not self._found:
            count = len(self._missing)
            none = "the path matches no" if count == 1 else f"none of {count} paths matches a"
            cure = self._cure() or self._default_cure()
            raise SourceError(
                f"{self._file}: {none} file below {self._root}: {self._examples()}. {cure}"
            )

    def notes(self) -> Iterator[str]:
        """A line per way in which names differ from the files', and one on missing files."""
        for how, texts in self._differing.items():
            count = counted(len(texts), "path")
            yield f"{self._label}: {count} written {how.value}, such as {shown(texts[0])}"
        if self._missing:
            total = len(self._missing) + len(self._found)
            count = f"{len(self._missing)} of {total} paths"
            cure = self._cure()
            yield f"{self._label}: {count} match no file: {self._examples()}{cure and '. '}{cure}"

    def _examples(self) -> str:
        return _first(list(self._missing.values()))

    def _cure(self) -> str:
        """How to make the first missing names match, if that can be determined."""
        texts = [one.text for one in islice(self._missing.values(), _SHOWN)]
        if not all(map(_is_utf8, texts)):
            return "The names are not UTF-8: save the list as UTF-8."
        if rivals := self._files.rivals(next(iter(self._missing))):
            return f"Write the suffix: there are {' and '.join(map(shown, rivals[:_SHOWN]))}."
        return missing_hint(self._root, [local_path(text) for text in texts])

    def _default_cure(self) -> str:
        return (
            f"Write paths relative to {self._root}, or give the folder that they are relative to "
            "as SRC."
        )

    def _lead_out(self) -> str:
        one, *others = self._outside
        text = f"{self._file}, {one.where}: path {one.text!r} is not inside {self._root}"
        if others:
            text += f", nor {'is' if len(others) == 1 else 'are'} {_first(others)}"
        texts = [local_path(outside.text) for outside in self._outside[:_SHOWN]]
        return f"{text}. {missing_hint(self._root, texts) or self._default_cure()}"


def _first(names: list[_Missing]) -> str:
    """The first few names, each with its location, and the number of others."""
    first = ", ".join(f"{shown(one.text)} ({one.where})" for one in names[:_SHOWN])
    return f"{first} and {len(names) - _SHOWN} more" if len(names) > _SHOWN else first


def _is_utf8(name: str) -> bool:
    return name.isascii() or not any("\udc80" <= letter <= "\udcff" for letter in name)
