"""Folders to names: every file below one, sorted, without hidden ones."""

from __future__ import annotations

import os
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING

from shards.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

_Identity = tuple[int, int]
"""Device and inode: what tells a folder, whichever way leads to it."""


def files_below(folder: Path) -> list[str]:
    """The files in a folder and below it.

    Links are followed, to folders as well; a folder inside itself is not entered again. Hidden
    files and folders, and what is no ordinary file, are left aside.

    Returns:
        Paths relative to the folder, '/' between folders, sorted by code point.

    Raises:
        SourceError: a folder cannot be listed.
    """
    found: list[str] = []
    stack: list[tuple[str, tuple[_Identity, ...]]] = [("", ())]
    while stack:
        prefix, above = stack.pop()
        path = folder / prefix if prefix else folder
        with _one_line(path):
            status = path.stat()
            here = status.st_dev, status.st_ino
            if here in above:
                continue
            with os.scandir(path) as entries:
                for name, is_folder in _visible(entries):
                    if is_folder:
                        stack.append((f"{prefix}{name}/", (*above, here)))
                    else:
                        found.append(prefix + name)
    return sorted(found)


def folders_in(folder: Path) -> list[str]:
    """The names of the folders right inside a folder, sorted, without hidden ones.

    Raises:
        SourceError: it cannot be listed.
    """
    with _one_line(folder), os.scandir(folder) as entries:
        return sorted(name for name, is_folder in _visible(entries) if is_folder)


def _visible(entries: Iterable[os.DirEntry[str]]) -> Iterator[tuple[str, bool]]:
    """Name, and whether it is a folder, of each folder and ordinary file that is not hidden."""
    for entry in entries:
        if entry.name.startswith("."):
            continue
        try:
            # A DirEntry knows its kind from the listing: no call to the file system a file.
            if entry.is_file():
                yield entry.name, False
            elif entry.is_dir():
                yield entry.name, True
        except OSError:  # a link in a circle
            continue


@contextmanager
def _one_line(folder: Path) -> Iterator[None]:
    """Turn what the system says of a folder into one line."""
    try:
        yield
    except OSError as error:
        raise SourceError(f"{folder}: cannot be listed: {error.strerror}.") from error


def by_suffix(names: Iterable[str]) -> str:
    """How many files there are of each suffix: '2 .txt, 1 .db'; the commonest first."""
    counts = Counter(_suffix(name) for name in names)
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{count} {suffix}" for suffix, count in ordered)


def _suffix(name: str) -> str:
    stem, dot, suffix = name.rpartition("/")[2].rpartition(".")
    return f".{suffix.lower()}" if dot and stem and suffix.isprintable() else "without suffix"
