"""Locates the images of a packed set and reads their labels, without reading an image."""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from shards.classes import encode
from shards.errors import DamageError, LabelError, SourceError
from shards.files import open_regular
from shards.index import Component, read_index
from shards.manifest import NAME, index_name, read_manifest
from shards.members import (
    DESCRIPTION,
    LABELS,
    NPY_HEADER_BYTES,
    hash_in,
    npy_header,
    parse_description,
)
from shards.sample import ImageRef, Sample
from shards.tar.ustar import BLOCK, padding

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from shards.manifest import Manifest, Shard


@dataclass(frozen=True)
class LabeledImages:
    """Images with their labels.

    Attributes:
        images: in the order of the shards; `name` is the original path. Of a set packed with
            verification they have their hashes, unless they are raw.
        labels: int8, shape (len(images), C): 1 present, 0 absent, -1 only difficult.
        sha256: hash of each image's bytes as packed, hexadecimal.
    """

    images: tuple[ImageRef, ...]
    labels: NDArray[np.int8]
    sha256: tuple[str, ...] = ()


def load_split(folder: Path, split: str) -> LabeledImages:
    """Locate the images of a packed split and read their labels.

    Only indexes, labels and descriptions are read.

    Args:
        folder: a finished set.
        split: its name; several are separated by commas ('train,val').

    Returns:
        Names, locations, labels and hashes.

    Raises:
        SourceError: the set has no such split.
        DamageError: the set is unfinished or damaged.
    """
    manifest = read_manifest(folder)
    images: list[ImageRef] = []
    labels = bytearray()
    hashes: list[str] = []
    for name in split.split(","):
        found = manifest.splits.get(name.strip())
        if found is None:
            raise SourceError(
                f"{folder}: no split '{name}'. Available: {', '.join(manifest.splits)}."
            )
        for shard in found.shards:
            for row, image, sha256 in _load_shard(folder, shard, manifest):
                labels += row
                images.append(image)
                hashes.append(sha256)
    matrix = np.frombuffer(labels, np.int8).reshape(len(images), len(manifest.classes))
    return LabeledImages(tuple(images), matrix, tuple(hashes))


def _load_shard(
    folder: Path, shard: Shard, manifest: Manifest
) -> Iterator[tuple[bytes, ImageRef, str]]:
    """Labels, location and hash of each sample in one shard."""
    tar, classes, raw = folder / shard.name, manifest.classes, manifest.raw
    # Hashing a raw image takes longer than loading it, in every epoch; scoring does it once.
    verified = manifest.verified and raw is None
    samples = read_index(folder / index_name(shard.name))
    try:
        descriptor = open_regular(tar)
    except OSError as error:
        raise DamageError(f"{tar}: cannot be read: {error.strerror}. Copy it again.") from error
    try:
        if os.fstat(descriptor).st_size != shard.bytes or len(samples) != shard.samples:
            raise DamageError(f"{tar}: it or its index does not match {NAME}. {_cure(tar)}")
        head = npy_header(len(classes))
        for sample in samples:
            row, path, sha256 = _read_sample(descriptor, sample, head, classes, tar)
            image, known = sample[0], hash_in(sha256) if verified else None
            ref = ImageRef(path, str(tar), image.offset, image.size, raw=raw, sha256=known)
            yield row, ref, sha256
    finally:
        os.close(descriptor)


def _read_sample(
    descriptor: int,
    sample: tuple[Component, ...],
    head: bytes,
    classes: tuple[str, ...],
    tar: Path,
) -> tuple[bytes, str, str]:
    """Read labels, original path and image hash, which are adjacent, in one call."""
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
                        f"{tar}: the labels of '{sample[0].name}' do not match the class names in "
                        f"its description and {NAME}. {_cure(tar)}"
                    )
                return row, named.path, described.sha256
    raise DamageError(
        f"{tar}: '{sample[0].name}' is not a sample with {len(classes)} labels and a "
        f"description. {_cure(tar)}"
    )


def _cure(tar: Path) -> str:
    command = shlex.join(["vocscore", "verify", str(tar.parent)])
    return f"Copy the set again or pack it again. To list every problem: {command}"


@lru_cache(maxsize=4096)
def _row(
    present: tuple[str, ...], difficult: tuple[str, ...], classes: tuple[str, ...]
) -> bytes | None:
    """The encoded labels; None if a class is unknown. Cached, as few combinations are common."""
    try:
        return encode(Sample("", present, difficult), classes).tobytes()
    except LabelError:
        return None
