"""Whether a folder of tars is a packed set, or has a `dataset.json` of another program."""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from shards.errors import DamageError
from shards.files import NotAFileError, open_binary
from shards.manifest import (
    FORMAT,
    NAME,
    Manifest,
    index_name,
    manifest_from,
    read_manifest,
    split_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable
    from pathlib import Path

_LOOKED_AT_BYTES: Final = 1 << 20
"""Packing writes the format key first; a tool that sorts the keys moves it after the classes and
the settings."""
_MARK: Final = re.compile(rb'"format"\s*:\s*"%b"' % FORMAT.encode())

_KEYS: Final = frozenset({"splits", "rejected", "listing"})
"""A combination of keys that no other program uses."""


def manifest_of(folder: Path) -> Manifest | None:
    """The manifest of a packed set; None for any other folder.

    Many tools write a `dataset.json`. It is ours if it says so or has our keys, however damaged,
    or if it is not JSON but the folder holds shards named as packing names them, with indexes.

    Raises:
        DamageError: it is ours and damaged, or cannot be read.
    """
    found = _found(folder)
    return found and found[0]


def manifest_in(
    read: Callable[[int], bytes], where: str, *, names: Callable[[], Iterable[str]]
) -> Manifest | None:
    """The manifest of a packed set that is not on a file system, as `manifest_of`.

    Args:
        read: returns the `dataset.json`, up to a number of bytes; -1: all of it.
        where: names it in messages.
        names: lists the names in its folder; called only if it is damaged.

    Raises:
        DamageError: it is ours and damaged.
    """
    head = read(_LOOKED_AT_BYTES + 1)
    if not _says_ours(head, names):
        return None
    return manifest_from(head if len(head) <= _LOOKED_AT_BYTES else read(-1), where)


def is_own_shard(tar: Path) -> bool:
    """Whether the manifest in the folder of a tar lists the tar.

    Raises:
        DamageError: as for `manifest_of`.
    """
    found = _found(tar.parent)
    return found is not None and tar.name in found[1]


def _found(folder: Path) -> tuple[Manifest, frozenset[str]] | None:
    try:
        status = (folder / NAME).stat()
    except OSError:
        return None
    return _read(folder, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=4)
def _read(folder: Path, _changed: int, _size: int) -> tuple[Manifest, frozenset[str]] | None:
    """Cached until the file changes: a set may have thousands of tars to list."""
    if not _is_ours(folder):
        return None
    manifest = read_manifest(folder)
    return manifest, frozenset(shard.name for shard in manifest.shards())


def _is_ours(folder: Path) -> bool:
    file = folder / NAME
    try:
        with open_binary(file) as opened:
            head = opened.read(_LOOKED_AT_BYTES + 1)
    except NotAFileError:
        return False
    except OSError as error:
        raise DamageError(f"{file}: cannot be read: {error.strerror}.") from error
    return _says_ours(head, lambda: (path.name for path in folder.iterdir()))


def _says_ours(head: bytes, names: Callable[[], Iterable[str]]) -> bool:
    if len(head) > _LOOKED_AT_BYTES:
        return _MARK.search(head) is not None
    try:
        value = json.loads(head)
    except (ValueError, RecursionError):
        return _MARK.search(head) is not None or _has_packed_shards(frozenset(names()))
    return isinstance(value, dict) and (value.get("format") == FORMAT or value.keys() >= _KEYS)


def _has_packed_shards(names: Collection[str]) -> bool:
    return any(
        name.endswith(".tar") and split_of(name) and index_name(name) in names for name in names
    )
