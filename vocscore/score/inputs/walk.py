"""Folders to names: pictures and tars, sorted, with a word on everything that was left out."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from shards.paths import is_picture, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_ENTRIES_BETWEEN_CALLS = 4096
_TAR_SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst")
_Identity = tuple[int, int]
"""Device and inode: what tells a folder, whichever way leads to it."""


@dataclass
class Found:
    """What lies in a folder and below it.

    Attributes:
        pictures: files that are pictures by their names; relative paths with '/' between folders,
            sorted by code points. Plain strings: a million of them must fit into memory.
        tars: tars, likewise.
        skipped: how many other or hidden files and hidden folders there are.
        problems: one line for each folder that could not be read or was not entered again.
    """

    pictures: list[str] = field(default_factory=list)
    tars: list[str] = field(default_factory=list)
    skipped: int = 0
    problems: list[str] = field(default_factory=list)


def walk(root: str, *, listing: Callable[[int], None] | None = None) -> Found:
    """List a folder to the bottom.

    Links are followed, to folders as well, so a file counts under each name that leads to it; only
    a folder inside itself is not entered. Links that lead nowhere count as the files that their
    names promise: they will be rows with an error. Names may be in any encoding
    (surrogate-escaped).

    Args:
        root: the folder.
        listing: called now and then with the number of pictures and tars found so far.

    Raises:
        OSError: the folder itself cannot be read.
    """
    found = Found()
    stack: list[tuple[str, tuple[_Identity, ...]]] = [("", ())]
    while stack:
        prefix, above = stack.pop()
        try:
            here = _identity(Path(root, prefix))
            if here in above:
                found.problems.append(f"{shown(prefix)}: leads back to a folder above it; left out")
                continue
            below = _list_folder(root, prefix, found, listing)
            stack.extend((folder, (*above, here)) for folder in below)
        except OSError as error:
            if not prefix:
                raise
            found.problems.append(
                f"{shown(prefix)}: could not be listed ({error.strerror}); what is in it is missing"
            )
    found.pictures.sort()
    found.tars.sort()
    found.problems.sort()
    return found


def _identity(folder: Path) -> _Identity:
    status = folder.stat()
    return status.st_dev, status.st_ino


def _list_folder(
    root: str, prefix: str, found: Found, listing: Callable[[int], None] | None
) -> Iterator[str]:
    """Sort the entries of one folder into `found`; yield its folders, each with a '/' behind."""
    with os.scandir(Path(root, prefix)) as entries:
        for number, entry in enumerate(entries):
            if listing and number % _ENTRIES_BETWEEN_CALLS == 0:
                listing(len(found.pictures) + len(found.tars))
            name = entry.name
            if _is_folder(entry) and not name.startswith("."):
                yield f"{prefix}{name}/"
            elif is_picture(name):
                found.pictures.append(prefix + name)
            elif is_tar(name):
                found.tars.append(prefix + name)
            else:
                found.skipped += 1


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link in a circle, or through a folder that may not be entered
        return False


def is_tar(name: str) -> bool:
    """Whether a file is a tar by its name, and not hidden.

    Compressed ones count, so that nobody believes them scored: they will be rows with an error.
    """
    return name.lower().endswith(_TAR_SUFFIXES) and not name.startswith(".")
