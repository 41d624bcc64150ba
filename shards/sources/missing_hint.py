"""Suggests where the missing files of a list are: higher, deeper, or under another name."""

from __future__ import annotations

import os
from itertools import islice
from typing import TYPE_CHECKING

from shards.paths import is_image, shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_TRIED = 3
"""Number of names searched for."""
_HIGHER = 3
"""Levels above the root that are searched."""
_DEPTH = 2
_FOLDERS = 2000
"""Maximum depth below the root, and maximum number of folders searched: a hint is not worth a
walk through millions of files."""


def missing_hint(root: Path, texts: Sequence[str]) -> str:
    """Say where names that match no file would match, and what to do.

    Args:
        root: the folder that they should be relative to.
        texts: the names as written; only the first few are searched for.

    Returns:
        One sentence; '' if they match nowhere nearby.
    """
    names = [text.strip().replace("\\", "/") for text in texts[:_TRIED]]
    for look in (_higher, _deeper, _shorter, _elsewhere, _other_suffix):
        if hint := look(root, names):
            return hint
    return ""


def folders_below(root: Path) -> Iterator[str]:
    """The folders below a root to search, nearest first, relative to it with '/'."""
    return islice(_folders(root), _FOLDERS)


def _folders(root: Path) -> Iterator[str]:
    level = [""]
    for _ in range(_DEPTH):
        level = [f"{above}{name}/" for above in level for name in _subfolders(root / above)]
        yield from (name.removesuffix("/") for name in level)


def _subfolders(folder: Path) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            looked = islice(entries, 50 * _FOLDERS)
            return sorted(e.name for e in looked if not e.name.startswith(".") and e.is_dir())
    except OSError:  # a hint is not worth a failure
        return []


def _is_file(folder: Path, name: str) -> bool:
    return os.path.isfile(os.path.join(folder, name))  # noqa: PTH113, PTH118 - never raises


def _movable(names: Sequence[str]) -> bool:
    """Whether the names could be relative to another folder."""
    return not any(name.startswith("/") or ".." in name.split("/") for name in names)


def _higher(root: Path, names: Sequence[str]) -> str:
    """The names are relative to a folder above the root."""
    if _movable(names):
        for folder in islice(root.absolute().parents, _HIGHER):
            if all(_is_file(folder, name) for name in names):
                return f"They would match below {folder}: give that folder as SRC."
    return ""


def _deeper(root: Path, names: Sequence[str]) -> str:
    """The names are relative to one folder below the root."""
    if _movable(names):
        for folder in folders_below(root):
            if all(_is_file(root / folder, name) for name in names):
                return f"They would match below {root / folder}: give that folder as SRC."
    return ""


def _shorter(root: Path, names: Sequence[str]) -> str:
    """The names begin with folders that do not exist."""
    parts = names[0].split("/")
    for count in range(1, len(parts)):
        begin = "/".join(parts[:count]) + "/"
        rests = [name.removeprefix(begin).lstrip("/") for name in names if name.startswith(begin)]
        if len(rests) == len(names) and all(_is_file(root, rest) for rest in rests):
            return f"They would match without {begin!r}: remove it from the paths."
    return ""


def _elsewhere(root: Path, names: Sequence[str]) -> str:
    """The first file is in another folder, where the others may not be."""
    last = names[0].rpartition("/")[2]
    for folder in ("", *folders_below(root)) if last else ():
        if _is_file(root / folder, last):
            place = f"{folder}/{last}" if folder else last
            return f"There is {shown(place)}: write paths relative to {root}."
    return ""


def _other_suffix(root: Path, names: Sequence[str]) -> str:
    """There is an image with the same stem."""
    folder, _, last = names[0].rpartition("/")
    stem = last.rpartition(".")[0] or last
    try:
        files = os.listdir(root / folder.lstrip("/"))  # noqa: PTH208
    except (OSError, ValueError):  # a hint is not worth a failure
        return ""
    near = sorted(file for file in files if is_image(file) and file.rpartition(".")[0] == stem)
    if near:
        return f"There is {' and '.join(map(shown, near[:_TRIED]))}: correct the suffix."
    return ""
