"""Folders to names: images and tars, sorted, with a count of everything that was left out."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from shards.archives import HEAD_BYTES
from shards.file_kinds import MACOS_FOLDER, Nature, count, kind_of, nature_of
from shards.files import open_regular
from shards.paths import is_image, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

_ENTRIES_BETWEEN_CALLS = 4096
_Identity = tuple[int, int]
"""Device and inode: what tells a folder, whichever way leads to it."""


@dataclass
class Found:
    """What lies in a folder and below it.

    Attributes:
        images: files that are images by their names or first bytes; relative paths with '/'
            between folders, sorted by code points. Plain strings: a million of them must fit into
            memory.
        tars: tars, likewise.
        archives: other archives, likewise; they are among what was skipped.
        skipped: how many other files and hidden folders there are of each kind.
        problems: one line for each folder that could not be read or was not entered again.
    """

    images: list[str] = field(default_factory=list)
    tars: list[str] = field(default_factory=list)
    archives: list[str] = field(default_factory=list)
    skipped: dict[str, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def walk(
    root: str, *, passed_over: Collection[str] = (), listing: Callable[[int], None] | None = None
) -> Found:
    """List a folder to the bottom.

    Links are followed, to folders as well, so a file counts under each name that leads to it; only
    a folder inside itself is not entered. Links that lead nowhere count as the files that their
    names promise: they will be rows with an error. Names may be in any encoding
    (surrogate-escaped). Only files whose names promise nothing are opened.

    Args:
        root: the folder.
        passed_over: files in the folder itself that are known, and neither listed nor counted.
        listing: called now and then with the number of images and tars found so far.

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
            known = () if prefix else passed_over
            below = _list_folder(root, prefix, found, known, listing)
            stack.extend((folder, (*above, here)) for folder in below)
        except OSError as error:
            if not prefix:
                raise
            found.problems.append(
                f"{shown(prefix)}: could not be listed ({error.strerror}); what is in it is missing"
            )
    for names in (found.images, found.tars, found.archives, found.problems):
        names.sort()
    return found


def _identity(folder: Path) -> _Identity:
    status = folder.stat()
    return status.st_dev, status.st_ino


def _list_folder(
    root: str,
    prefix: str,
    found: Found,
    known: Collection[str],
    listing: Callable[[int], None] | None,
) -> Iterator[str]:
    """Sort the entries of one folder into `found`; yield its folders, each with a '/' behind."""
    with os.scandir(Path(root, prefix)) as entries:
        for number, entry in enumerate(entries):
            if listing and number % _ENTRIES_BETWEEN_CALLS == 0:
                listing(len(found.images) + len(found.tars))
            name = entry.name
            if _is_folder(entry):
                if not name.startswith(".") and name != MACOS_FOLDER:
                    yield f"{prefix}{name}/"
                else:
                    folder = MACOS_FOLDER if name == MACOS_FOLDER else "hidden"
                    count(found.skipped, f"{folder} folders")
            elif is_image(name):
                found.images.append(prefix + name)
            elif name not in known:
                _take(entry, prefix, found)


def _take(entry: os.DirEntry[str], prefix: str, found: Found) -> None:
    """Look what a file is whose name promises no image."""
    name = entry.name
    if name.startswith("."):
        count(found.skipped, kind_of(name, hidden=True))
        return
    try:
        nature = nature_of(name, partial(_head, entry))
    except _NotAFile as told:
        count(found.skipped, str(told))
        return
    if nature is Nature.IMAGE:
        found.images.append(prefix + name)
    elif nature is Nature.TAR:
        found.tars.append(prefix + name)
    else:
        count(found.skipped, kind_of(name))
        if nature is Nature.ARCHIVE:
            found.archives.append(prefix + name)


class _NotAFile(Exception):  # noqa: N818 - what there is instead of a file, in the plural
    """There are no first bytes of it."""


def _head(entry: os.DirEntry[str]) -> bytes:
    kind = _kind(entry)
    if kind is not None:  # a device may do something on being opened
        raise _NotAFile(kind)
    try:
        descriptor = open_regular(entry.path)
        try:
            return os.pread(descriptor, HEAD_BYTES, 0)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise _NotAFile("unreadable files") from error


def _kind(entry: os.DirEntry[str]) -> str | None:
    """What there is that is no file; None for a file."""
    try:
        if entry.is_file():
            return None
        mode = entry.stat().st_mode
    except OSError:
        return "links that lead to no file"
    if stat.S_ISFIFO(mode):
        return "named pipes"
    return "sockets" if stat.S_ISSOCK(mode) else "devices"


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link in a circle, or through a folder that may not be entered
        return False
