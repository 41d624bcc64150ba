"""Lists the images and tars in folders, sorted, and counts everything else."""

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
from vocscore.scoring.inputs.collector import NAMES_BETWEEN_CALLS, Collector

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

_Identity = tuple[int, int]
"""Device and inode, which identify a folder independent of its path."""


@dataclass
class Found:
    """The contents of a folder and its subfolders.

    Attributes:
        images: files that are images by their names or first bytes; relative paths with '/'
            between folders, sorted by code points; many are in a temporary file (`Collector`).
        tars: tars, in the same form.
        archives: other archives, in the same form; they are also counted in `skipped`.
        skipped: kind -> number of other files and hidden folders.
        problems: folders that could not be read or were not entered again, one line each.
    """

    images: Sequence[str] = ()
    tars: list[str] = field(default_factory=list)
    archives: list[str] = field(default_factory=list)
    skipped: dict[str, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def walk(
    root: str, *, passed_over: Collection[str] = (), listing: Callable[[int], None] | None = None
) -> Found:
    """List a folder recursively.

    Links are followed, also to folders, so a file is listed under each of its paths; only a link
    from a folder to one of its parents is not followed. Broken links count as the files that their
    names suggest: they become rows with an error. Names may have any encoding (surrogate-escaped).
    Only files without a known suffix are opened.

    Args:
        root: the folder.
        passed_over: files directly in the folder that are neither listed nor counted.
        listing: called periodically with the number of images and tars found so far.

    Raises:
        OSError: the folder itself cannot be read.
    """
    found, images = Found(), Collector()
    stack: list[tuple[str, tuple[_Identity, ...]]] = [("", ())]
    while stack:
        prefix, above = stack.pop()
        try:
            here = _identity(Path(root, prefix))
            if here in above:
                found.problems.append(f"{shown(prefix)}: links to one of its parents; left out")
                continue
            known = () if prefix else passed_over
            below = _list_folder(root, prefix, found, images, passed_over=known, listing=listing)
            stack.extend((folder, (*above, here)) for folder in below)
        except OSError as error:
            if not prefix:
                raise
            found.problems.append(
                f"{shown(prefix)}: could not be listed ({error.strerror}); its contents are missing"
            )
    for names in (found.tars, found.archives, found.problems):
        names.sort()
    found.images = images.names()
    return found


def _identity(folder: Path) -> _Identity:
    status = folder.stat()
    return status.st_dev, status.st_ino


def _list_folder(
    root: str,
    prefix: str,
    found: Found,
    images: Collector,
    *,
    passed_over: Collection[str],
    listing: Callable[[int], None] | None,
) -> Iterator[str]:
    """Add the entries of one folder to what is found; yield its folders with a trailing '/'."""
    add = images.recent.append
    with os.scandir(Path(root, prefix)) as entries:
        for number, entry in enumerate(entries):
            if number % NAMES_BETWEEN_CALLS == 0:
                images.relieve()
                if listing:
                    listing(len(images) + len(found.tars))
            name = entry.name
            if _is_folder(entry):
                if not name.startswith(".") and name != MACOS_FOLDER:
                    yield f"{prefix}{name}/"
                else:
                    folder = MACOS_FOLDER if name == MACOS_FOLDER else "hidden"
                    count(found.skipped, f"{folder} folders")
            elif is_image(name) or (name not in passed_over and _take(entry, prefix, found)):
                add(prefix + name)


def _take(entry: os.DirEntry[str], prefix: str, found: Found) -> bool:
    """Classify a file that does not have the suffix of an image; return whether it is one."""
    name = entry.name
    if name.startswith("."):
        count(found.skipped, kind_of(name, hidden=True))
        return False
    try:
        nature = nature_of(name, partial(_head, entry))
    except _NotAFile as told:
        count(found.skipped, str(told))
        return False
    if nature is Nature.TAR:
        found.tars.append(prefix + name)
    elif nature is not Nature.IMAGE:
        count(found.skipped, kind_of(name))
        if nature is Nature.ARCHIVE:
            found.archives.append(prefix + name)
    return nature is Nature.IMAGE


class _NotAFile(Exception):  # noqa: N818 - its text is the kind of the entry, in the plural
    """The entry has no first bytes to read."""


def _head(entry: os.DirEntry[str]) -> bytes:
    kind = _kind(entry)
    if kind is not None:  # opening a device may have side effects
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
    """Return what an entry is if it is not a file; None for a file."""
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
    except OSError:  # a circular link, or one through a folder that may not be entered
        return False
