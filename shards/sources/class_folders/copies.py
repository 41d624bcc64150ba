"""Finds the files of several class folders that are one image: by link, or by equal bytes."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING, Final, NamedTuple

from shards.files import open_regular

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Sequence
    from pathlib import Path

    from shards.sources.class_folders.layout import ClassImage

_END_BYTES: Final = 4096
"""Bytes at either end of a file that are compared before the whole."""
_PIECE_BYTES: Final = 1 << 20


class Copies(NamedTuple):
    """The files of one image, or of images that look the same.

    Attributes:
        groups: the files of each image, sorted by path; nearly all are alone.
        linked: number of files that are another name of an earlier one.
        equal: number of files with the name and the bytes of an earlier one.
        alike: groups of images with equal bytes and different names, or in different splits.
    """

    groups: list[list[ClassImage]]
    linked: int
    equal: int
    alike: list[list[ClassImage]]


class _File(NamedTuple):
    images: list[ClassImage]
    size: int


def find_copies(root: Path, images: Sequence[ClassImage]) -> Copies:
    """Group the files that are one image.

    Files are one image if they are in the same split, and are links to each other (hard or
    symbolic) or have the same name and equal bytes. Only files of equal size are opened, and
    only those with equal ends are read whole. A file that cannot be read is alone.

    Args:
        root: the folder that paths are relative to.
        images: sorted by path.
    """
    files = _by_inode(root, images)
    linked = len(images) - len(files)
    groups: list[list[ClassImage]] = []
    alike: list[list[ClassImage]] = []
    equal = 0
    same_bytes = _equal_bytes(root, files)
    taken = {id(file) for same in same_bytes for file in same}
    for same in same_bytes:
        named: dict[tuple[str | None, str], list[ClassImage]] = {}
        for file in same:
            first = file.images[0]
            named.setdefault((first.split, first.path.rpartition("/")[2]), []).extend(file.images)
        equal += len(same) - len(named)
        groups += named.values()
        if len(named) > 1:
            alike.append([group[0] for group in named.values()])
    groups += [file.images for file in files if id(file) not in taken]
    groups = sorted(map(sorted, groups))
    return Copies(groups, linked, equal, sorted(map(sorted, alike)))


def _by_inode(root: Path, images: Iterable[ClassImage]) -> list[_File]:
    """Each file with all its names in one split."""
    files: dict[Hashable, _File] = {}
    for image in images:
        try:
            status = os.stat(f"{root}/{image.path}")  # noqa: PTH116 - a fifth of the time
        except (OSError, ValueError):  # packing will say why
            files[image.path] = _File([image], -1)
            continue
        key = (image.split, status.st_dev, status.st_ino)
        files.setdefault(key, _File([], status.st_size)).images.append(image)
    return list(files.values())


def _equal_bytes(root: Path, files: Iterable[_File]) -> list[list[_File]]:
    """Groups of two or more files with equal bytes."""
    groups = [[file for file in files if file.size > 0]]
    steps: tuple[Callable[[_File], Hashable], ...] = (
        lambda file: file.size,
        lambda file: _digest(f"{root}/{file.images[0].path}", file.size, ends=True),
        lambda file: _digest(f"{root}/{file.images[0].path}", file.size, ends=False),
    )
    for key in steps:
        groups = [part for group in groups for part in _parted(group, key)]
    return groups


def _parted(files: Iterable[_File], key: Callable[[_File], Hashable]) -> list[list[_File]]:
    parts: dict[Hashable, list[_File]] = {}
    for file in files:
        if (value := key(file)) is not None:
            parts.setdefault(value, []).append(file)
    return [part for part in parts.values() if len(part) > 1]


def _digest(path: str, size: int, *, ends: bool) -> bytes | None:
    """A hash of a file, or of its ends; None if it cannot be read."""
    found = hashlib.blake2b(digest_size=16)
    try:
        with open(open_regular(path), "rb", buffering=0) as file:  # noqa: PTH123 - from a descriptor
            if ends:
                found.update(file.read(_END_BYTES))
                file.seek(max(0, size - _END_BYTES))
                found.update(file.read(_END_BYTES))
            else:
                while piece := file.read(_PIECE_BYTES):
                    found.update(piece)
    except (OSError, ValueError):
        return None
    return found.digest()
