"""Where the pictures of a set lie, and their labels: found without reading a picture."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from shards.classes import encode
from shards.errors import DamageError, LabelError, SourceError
from shards.index import Component, group, read_index
from shards.manifest import FORMAT, NAME, index_name, read_manifest
from shards.members import (
    DESCRIPTION,
    LABELS,
    NPY_HEADER_BYTES,
    npy_header,
    parse_description,
)
from shards.paths import is_picture
from shards.sample import PictureRef, Sample
from shards.ustar import BLOCK, CompressedTarError, Member, members, padding

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from shards.manifest import Shard

_SIGNATURES: Final = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF8", b"II*\0", b"MM\0*")
"""Beginnings that no text has. (BMP's are two letters; it goes by its name only.)"""
_SNIFFED_BYTES: Final = 12


@dataclass(frozen=True)
class LabelledPictures:
    """Pictures with their labels.

    Attributes:
        pictures: in the order of the shards; `name` is the original path.
        labels: int8, shape (len(pictures), C): 1 present, 0 absent, -1 only difficult.
        sha256: of the bytes of each image as packed, hexadecimal.
    """

    pictures: tuple[PictureRef, ...]
    labels: NDArray[np.int8]
    sha256: tuple[str, ...] = ()


@dataclass(frozen=True)
class TarListing:
    """The pictures of one tar.

    Attributes:
        pictures: in the order of the tar; every picture of a sample is one of its own.
        damage: a line on why the tar has not been read to its end, or None.
    """

    pictures: tuple[PictureRef, ...]
    damage: str | None


def load_split(folder: Path, split: str) -> LabelledPictures:
    """Find the pictures of a packed split, and read their labels.

    Only indexes, labels and descriptions are read.

    Args:
        folder: a finished set.
        split: its name; several are joined by commas ('train,val').

    Returns:
        Names, places, labels and hashes.

    Raises:
        SourceError: the set has no split of that name.
        DamageError: the set is unfinished or damaged.
    """
    manifest = read_manifest(folder)
    pictures: list[PictureRef] = []
    labels = bytearray()
    hashes: list[str] = []
    for name in split.split(","):
        found = manifest.splits.get(name.strip())
        if found is None:
            raise SourceError(
                f"{folder}: no split '{name}' in it. There are: {', '.join(manifest.splits)}."
            )
        for shard in found.shards:
            for row, picture, sha256 in _load_shard(folder, shard, manifest.classes):
                labels += row
                pictures.append(picture)
                hashes.append(sha256)
    matrix = np.frombuffer(labels, np.int8).reshape(len(pictures), len(manifest.classes))
    return LabelledPictures(tuple(pictures), matrix, tuple(hashes))


def _load_shard(
    folder: Path, shard: Shard, classes: tuple[str, ...]
) -> Iterator[tuple[bytes, PictureRef, str]]:
    """Labels, place and hash of each sample of one shard."""
    tar = folder / shard.name
    samples = read_index(folder / index_name(shard.name))
    try:
        descriptor = os.open(tar, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise DamageError(f"{tar}: cannot be read: {error.strerror}. Copy it again.") from error
    try:
        if os.fstat(descriptor).st_size != shard.bytes or len(samples) != shard.samples:
            raise DamageError(
                f"{tar}: it or its index is not as {NAME} has it. Run 'vocscore verify', and copy "
                "the set again or pack it again."
            )
        head = npy_header(len(classes))
        for sample in samples:
            row, path, sha256 = _read_sample(descriptor, sample, head, classes, shard.name)
            yield row, PictureRef(path, str(tar), sample[0].offset, sample[0].size), sha256
    finally:
        os.close(descriptor)


def _read_sample(
    descriptor: int,
    sample: tuple[Component, ...],
    head: bytes,
    classes: tuple[str, ...],
    shard: str,
) -> tuple[bytes, str, str]:
    """Read labels, original path and the image's hash, which stand side by side, in one go."""
    size = NPY_HEADER_BYTES + len(classes)
    apart = size + len(padding(size)) + BLOCK
    if [c.extension for c in sample[1:]] == [LABELS, DESCRIPTION]:
        _, labels, description = sample
        if description.offset - labels.offset == apart and labels.size == size:
            data = os.pread(descriptor, apart + description.size, labels.offset)
            described, row = parse_description(data[apart:]), data[NPY_HEADER_BYTES:size]
            if data.startswith(head) and described is not None:
                named = described.sample
                if row != _row(named.present, named.difficult, classes):
                    raise DamageError(
                        f"{shard}: the labels of '{sample[0].name}' are not those of the classes "
                        f"that it names, as {NAME} has them. Run 'vocscore verify', and copy the "
                        "set again or pack it again."
                    )
                return row, named.path, described.sha256
    raise DamageError(
        f"{shard}: '{sample[0].name}' is not a sample with {len(classes)} labels and a "
        "description. Run 'vocscore verify', and copy the set again or pack it again."
    )


def list_tar(file: Path) -> TarListing:
    """Find the pictures of any WebDataset tar; no picture is read.

    Pictures are told by their names, else by their first bytes. A picture of a packed set (with
    its `dataset.json` beside it) is named by its original path; any other, and one whose
    description is missing or damaged, 'TAR/MEMBER'. Hidden members are left out.

    Args:
        file: the tar.

    Returns:
        The pictures up to the first damage, and what that is.

    Raises:
        CompressedTarError: the tar is compressed.
        DamageError: the `dataset.json` beside it is damaged.
    """
    own = file.name in _own_shards(file.parent)
    pictures: list[PictureRef] = []
    try:
        pictures.extend(_own_pictures(file) if own else _any_pictures(file))
    except CompressedTarError:
        raise
    except DamageError as error:
        return TarListing(tuple(pictures), str(error))
    except OSError as error:
        return TarListing(tuple(pictures), f"{file.name}: cannot be read: {error.strerror}.")
    return TarListing(tuple(pictures), None)


def _any_pictures(file: Path) -> Iterator[PictureRef]:
    with file.open("rb", buffering=0) as opened:
        for member in members(file):
            base = member.name.rpartition("/")[2]
            if not base.startswith(".") and (
                is_picture(base) or _looks_like_picture(opened.fileno(), member)
            ):
                yield _ref(file, member)


def _own_pictures(file: Path) -> Iterator[PictureRef]:
    with file.open("rb", buffering=0) as opened:
        for sample in group(members(file)):
            picture = sample[0]
            path = None
            if sample[-1].extension == DESCRIPTION:
                path = _path(os.pread(opened.fileno(), sample[-1].size, sample[-1].offset))
            yield _ref(file, picture, name=path)


def _ref(file: Path, member: Member | Component, *, name: str | None = None) -> PictureRef:
    return PictureRef(name or f"{file.name}/{member.name}", str(file), member.offset, member.size)


def _looks_like_picture(descriptor: int, member: Member) -> bool:
    first = os.pread(descriptor, min(member.size, _SNIFFED_BYTES), member.offset)
    return first.startswith(_SIGNATURES) or (first[:4] == b"RIFF" and first[8:] == b"WEBP")


def _path(description: bytes) -> str | None:
    """The original path in a .json member; None where there is none."""
    try:
        value: Any = json.loads(description)
        path = value["path"]
    except (ValueError, TypeError, KeyError):
        return None
    return path if isinstance(path, str) and path else None


@lru_cache(maxsize=4096)
def _row(
    present: tuple[str, ...], difficult: tuple[str, ...], classes: tuple[str, ...]
) -> bytes | None:
    """The labels of some classes; None where one is unknown. Few sets of classes occur often."""
    try:
        return encode(Sample("", present, difficult), classes).tobytes()
    except LabelError:
        return None


def _own_shards(folder: Path) -> frozenset[str]:
    """The tars that the `dataset.json` of a folder names; none where it is not ours."""
    try:
        status = (folder / NAME).stat()
    except OSError:
        return frozenset()
    return _shards_named(folder, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=4)
def _shards_named(folder: Path, _changed: int, _size: int) -> frozenset[str]:
    """Keep the answer until the manifest changes: a set may have thousands of tars to list."""
    try:
        value = json.loads((folder / NAME).read_bytes())
    except ValueError:
        value = {"format": FORMAT}
    if not isinstance(value, dict) or value.get("format") != FORMAT:
        return frozenset()
    return frozenset(shard.name for shard in read_manifest(folder).shards())
