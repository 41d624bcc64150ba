"""Finds the images that a table or a JSON file names, and tells of those that it misses."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from shards.errors import Reason, SourceError
from shards.paths import shown
from shards.sample import Rejection
from shards.sources.missing_hint import missing_hint
from shards.sources.named_files import Found, How, NamedFiles, local_path
from shards.sources.words import counted

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_SHOWN = 3
"""Names that a message shows of those that match no file."""


class _Missing(NamedTuple):
    """A name that matches no file, and where it is written: 'line 3'."""

    text: str
    where: str


class _Spelling(NamedTuple):
    """A name that is not quite its file's: where it would be, as it is written, and where."""

    place: str
    text: str
    where: str


class Finder:
    """Finds the images of one list by name, and keeps count of what it could not find."""

    def __init__(self, root: Path, file: Path, *, label: str | None = None) -> None:
        """Look at nothing yet.

        Args:
            root: the folder that names are relative to.
            file: the list, as errors call it.
            label: how notes and the reasons of rejections call it; by default its name.
        """
        self._root = root
        self._file = file
        self._label = label or file.name
        self._files = NamedFiles(root)
        self._differing: dict[How, list[str]] = {}
        self._missing: dict[str, _Missing] = {}
        self._outside: list[_Missing] = []
        self._found: set[str] = set()
        self._spelled: dict[str, _Spelling] = {}

    def find(self, text: str, where: str, *, base: str = "") -> str:
        """Find one image.

        Args:
            text: the name as it is written.
            where: where it is written, such as 'line 3'.
            base: as in `NamedFiles.find`.

        Returns:
            The path relative to the root, as `Sample.path` has it, whether there is a file or not;
            the text itself where it leads out of the root, which `check` refuses.

        Raises:
            SourceError: the name is blank, or another name for the same file; says where.
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
        """Refuse two names of one file, of which one is not its own: they may mean two images.

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
            yield Rejection(path, Reason.MISSING, detail)

    def check(self) -> None:
        """Refuse a list of which a name leads out of the root, or none matches a file.

        Raises:
            SourceError: with the first such names, and where they would match.
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
        """A line on each way in which names differ from the files', and on what is missing."""
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
        """What would make the first missing names match, if it can be told."""
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
    """The first of some names, each with its place, and how many more there are."""
    first = ", ".join(f"{shown(one.text)} ({one.where})" for one in names[:_SHOWN])
    return f"{first} and {len(names) - _SHOWN} more" if len(names) > _SHOWN else first


def _is_utf8(name: str) -> bool:
    return name.isascii() or not any("\udc80" <= letter <= "\udcff" for letter in name)
