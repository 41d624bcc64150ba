"""Lists the files below a folder, sorted, without hidden ones."""

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
"""Device and inode, which identify a folder independent of its path."""


def files_below(
    folder: Path, *, unlisted: list[str] | None = None, odd: list[str] | None = None
) -> list[str]:
    """The files in a folder and its subfolders.

    Links are followed, including links to folders; a folder inside itself is not entered again.
    Hidden files and folders, and anything that is not a regular file, are skipped.

    Args:
        folder: the folder.
        unlisted: takes a line for each subfolder that cannot be listed; None raises instead.
        odd: takes the paths of what is neither file nor folder: links to nothing, pipes.

    Returns:
        Paths relative to the folder, with '/' between folders, sorted by code point.

    Raises:
        SourceError: a folder cannot be listed.
    """
    found: list[str] = []
    stack: list[tuple[str, tuple[_Identity, ...]]] = [("", ())]
    while stack:
        prefix, above = stack.pop()
        path = folder / prefix if prefix else folder
        with _one_line(path, unlisted):
            status = path.stat()
            here = status.st_dev, status.st_ino
            if here in above:
                continue
            with os.scandir(path) as entries:
                for name, is_folder in _visible(entries):
                    if is_folder is None:
                        if odd is not None:
                            odd.append(prefix + name)
                    elif is_folder:
                        stack.append((f"{prefix}{name}/", (*above, here)))
                    else:
                        found.append(prefix + name)
    return sorted(found)


def folders_in(folder: Path) -> list[str]:
    """The names of a folder's immediate subfolders, sorted, without hidden ones.

    Raises:
        SourceError: it cannot be listed.
    """
    with _one_line(folder), os.scandir(folder) as entries:
        return sorted(name for name, is_folder in _visible(entries) if is_folder)


def _visible(entries: Iterable[os.DirEntry[str]]) -> Iterator[tuple[str, bool | None]]:
    """Name, and whether it is a folder (None: nor a regular file), of each that is not hidden."""
    for entry in entries:
        if entry.name.startswith("."):
            continue
        try:
            # A DirEntry knows its type from the listing: no system call per file.
            if entry.is_file():
                yield entry.name, False
            elif entry.is_dir():
                yield entry.name, True
            else:
                yield entry.name, None
        except OSError:  # a cycle of links
            yield entry.name, None


@contextmanager
def _one_line(folder: Path, unlisted: list[str] | None = None) -> Iterator[None]:
    """Convert a folder's OSError to a one-line error, or add the line to a list."""
    try:
        yield
    except OSError as error:
        line = f"{folder}: cannot be listed: {error.strerror}."
        if unlisted is None:
            raise SourceError(line) from error
        unlisted.append(line)


def by_suffix(names: Iterable[str]) -> str:
    """The number of files per suffix: '2 .txt, 1 .db'; most frequent first."""
    counts = Counter(_suffix(name) for name in names)
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{count} {suffix}" for suffix, count in ordered)


def _suffix(name: str) -> str:
    stem, dot, suffix = name.rpartition("/")[2].rpartition(".")
    return f".{suffix.lower()}" if dot and stem and suffix.isprintable() else "without suffix"
