"""Finds files below a folder by names that other programs wrote."""

from __future__ import annotations

import os
import posixpath
import unicodedata
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote

from shards.paths import is_image, relative_path

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class How(str, Enum):
    """How a written name differs from the file's own; the value completes 'paths are written'."""

    EXACT = "as they are"
    BLANKS = "with leading or trailing blanks"
    ESCAPES = "with percent escapes"
    ACCENTS = "with accents in another Unicode form"
    CASE = "with different capitalization"
    SUFFIX = "without the suffix"


class Found(NamedTuple):
    """The file that a name refers to.

    Attributes:
        path: relative to the root, in the form of `Sample.path`.
        how: how the written name differs from it.
    """

    path: str
    how: How


class _Names(NamedTuple):
    """The names in one folder: by normalized form, by case-folded form, and images by stem."""

    by_form: dict[str, list[str]]
    by_case: dict[str, list[str]]
    by_stem: dict[str, list[str]]


class NamedFiles:
    """Finds files below a folder by names that other programs wrote.

    An exact match always takes precedence. Otherwise a file whose name differs only in a way
    listed in `How` is used, if there is only one. Folders are listed only then, each once.

    Args:
        root: the folder that names are relative to.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._top = os.fspath(root)
        self._listed: dict[str, _Names | None] = {}

    def find(self, text: str, *, base: str = "") -> Found | None:
        r"""Find the file that a name refers to.

        Args:
            text: a path with '/' or '\' between folders, or a file:// URL.
            base: the folder below the root that relative paths start from; '' for the root.

        Returns:
            The file, or None if none or several match.

        Raises:
            ValueError: the name is blank or leads out of the root.
        """
        path = self.place(text, base=base)
        if self._is_file(path):
            return Found(path, How.EXACT)
        variants = list(self._variants(text, base=base))
        for how, variant in variants:
            if self._is_file(variant):
                return Found(variant, how)
        return next(filter(None, map(self._similar, [path, *(path for _, path in variants)])), None)

    def place(self, text: str, *, base: str = "") -> str:
        """The path that a name denotes, relative to the root, without accessing files.

        Raises:
            ValueError: the name is blank or leads out of the root.
        """
        name = local_path(text)
        if base and name.strip() and not name.startswith(("/", "\\")):
            name = f"{base}/{name}"
        path = relative_path(name, self._root)
        if path is None:
            raise ValueError(text)
        return path

    def rivals(self, path: str) -> list[str]:
        """The images in a path's folder whose stem is the path's name, sorted."""
        folder, _, name = path.rpartition("/")
        names = self._names(folder)
        return sorted(names.by_stem.get(_form(name), ())) if names else []

    def _variants(self, text: str, *, base: str) -> Iterator[tuple[How, str]]:
        stripped = text.strip()
        if stripped != text:
            yield How.BLANKS, self.place(stripped, base=base)
        if (plain := unquote(stripped)) != stripped:
            yield How.ESCAPES, self.place(plain, base=base)

    def _is_file(self, path: str) -> bool:
        return os.path.isfile(f"{self._top}/{path}")  # noqa: PTH113 - a tenth of the time

    def _similar(self, path: str) -> Found | None:
        """The only file with a similar name."""
        above, _, name = path.rpartition("/")
        folder = self._folder(above)
        names = self._names(folder) if folder is not None else None
        if folder is None or names is None:
            return None
        form = _form(name)
        for how, near in (
            (How.ACCENTS, names.by_form.get(form, ())),
            (How.CASE, names.by_case.get(form.casefold(), ())),
            (How.SUFFIX, names.by_stem.get(form, ())),
        ):
            files = [one for one in (posixpath.join(folder, n) for n in near) if self._is_file(one)]
            if files:
                return Found(files[0], how) if len(files) == 1 else None
        return None

    def _folder(self, path: str) -> str | None:
        """The folder with this or a similar name; None if there is none or several."""
        if not path or os.path.isdir(f"{self._top}/{path}"):  # noqa: PTH112 - a tenth of the time
            return path
        above, _, name = path.rpartition("/")
        folder = self._folder(above)
        names = self._names(folder) if folder is not None else None
        if folder is None or names is None:
            return None
        form = _form(name)
        for near in (names.by_form.get(form, ()), names.by_case.get(form.casefold(), ())):
            folders = [posixpath.join(folder, one) for one in near]
            folders = [one for one in folders if os.path.isdir(f"{self._top}/{one}")]  # noqa: PTH112
            if folders:
                return folders[0] if len(folders) == 1 else None
        return None

    def _names(self, folder: str) -> _Names | None:
        """The contents of a folder; None if it cannot be listed."""
        if folder not in self._listed:
            self._listed[folder] = _list(f"{self._top}/{folder}")
        return self._listed[folder]


def local_path(text: str) -> str:
    """The path of a file:// URL; any other text unchanged."""
    stripped = text.strip()
    if stripped[:7].casefold() != "file://":
        return text
    rest = stripped[7:]
    return unquote(rest.removeprefix("localhost") if rest.startswith("localhost/") else rest)


def _list(folder: str) -> _Names | None:
    try:
        entries = os.listdir(folder)  # noqa: PTH208 - names only, of folders with many
    except (OSError, ValueError):  # the file in it is then reported as missing
        return None
    names = _Names({}, {}, {})
    for name in entries:
        form = _form(name)
        names.by_form.setdefault(form, []).append(name)
        names.by_case.setdefault(form.casefold(), []).append(name)
        if is_image(name):
            names.by_stem.setdefault(form.rpartition(".")[0], []).append(name)
    return names


def _form(name: str) -> str:
    """A name with composed accents (NFC): file systems and spreadsheets differ in this."""
    return name if name.isascii() else unicodedata.normalize("NFC", name)
