"""Finds images of a packed set that look alike, across its splits and within them."""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

import numpy as np

from shards import atomic
from shards.errors import BadImage, Fault
from shards.hash_search import Nearest, find_nearest
from shards.images import image_file
from shards.images.memory import spared
from shards.manifest import read_manifest
from shards.perceptual_hash import hash_image
from shards.reader import load_split
from shards.sample import Rejection

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from shards.sample import ImageRef

COLUMNS: Final = (
    "path",
    "split",
    "other_path",
    "other_split",
    "distance",
    "exact",
    "labels_differ",
)
_CHUNK_IMAGES: Final = 16
"""Images per task of a thread."""


@dataclass(frozen=True, slots=True)
class DuplicatePair:
    """Two images that look alike.

    Attributes:
        path: original path of one image.
        split: its split.
        other_path: original path of the other, which comes earlier in the set.
        other_split: its split.
        distance: bits of 64 in which their hashes differ.
        exact: whether they are the same bytes.
        labels_differ: the classes that one of them has and the other has not; difficult ones do
            not count.
    """

    path: str
    split: str
    other_path: str
    other_split: str
    distance: int
    exact: bool
    labels_differ: tuple[str, ...]

    @property
    def is_leak(self) -> bool:
        """Whether they are in different splits."""
        return self.split != self.other_split


@dataclass(frozen=True)
class Duplicates:
    """The near duplicates of a packed set.

    Attributes:
        distance: bits in which two hashes may differ.
        images: number of images per split.
        leaked: number of images per split that have a near duplicate in another split.
        pairs: each image with its nearest neighbor in each split, if it is near enough; each
            pair once. Pairs across splits come first, then exact copies, then the nearest.
        flat: original paths of images of one color, which are only compared by their bytes.
        unreadable: images that cannot be decoded, which are only compared by their bytes.
    """

    distance: int
    images: Mapping[str, int]
    leaked: Mapping[str, int]
    pairs: tuple[DuplicatePair, ...]
    flat: tuple[str, ...]
    unreadable: tuple[Rejection, ...]

    @property
    def leaks(self) -> tuple[DuplicatePair, ...]:
        """The pairs across splits."""
        return tuple(pair for pair in self.pairs if pair.is_leak)


@dataclass(frozen=True)
class _Set:
    """All images of a packed set, in the order of its rows; a split is a number in them."""

    classes: tuple[str, ...]
    names: tuple[str, ...]
    images: tuple[ImageRef, ...]
    splits: NDArray[np.int64]
    labels: NDArray[np.int8]
    sha256: tuple[str, ...]


def find_duplicates(
    folder: Path,
    *,
    distance: int,
    max_pixels: int,
    workers: int = 1,
    on_stage: Callable[[str], None] = lambda _name: None,
    progress: Callable[[int, int, int], None] = lambda _done, _total, _bad: None,
) -> Duplicates:
    """Compare every image of a packed set with every other.

    Args:
        folder: a finished set.
        distance: the largest number of bits, of 64, in which the hashes of near duplicates differ.
        max_pixels: width times height that is still decoded.
        workers: threads that decode; the result does not depend on it.
        on_stage: called with the name of each stage as it starts.
        progress: called with the images hashed, the total, and the unreadable ones so far.

    Raises:
        DamageError: the set is unfinished or damaged; a single bad image is no error.
    """
    on_stage("reading labels")
    packed = _load(folder)
    on_stage("hashing images")
    hashes = _hash_all(packed.images, max_pixels, workers, progress)
    on_stage("comparing hashes")
    nearest = _with_exact(packed, _nearest(packed, hashes, distance))
    each = list(zip(packed.images, hashes, strict=True))
    elsewhere = np.arange(len(packed.names)) != packed.splits[:, None]
    leaked = (elsewhere & (nearest.rows >= 0)).any(axis=1)
    return Duplicates(
        distance=distance,
        images=_count(packed, np.ones(len(each), bool)),
        leaked=_count(packed, leaked),
        pairs=tuple(_pairs(packed, nearest)),
        flat=tuple(image.name for image, found in each if found is None),
        unreadable=tuple(
            Rejection(image.name, found) for image, found in each if isinstance(found, Fault)
        ),
    )


def write_duplicates(file: Path, found: Duplicates) -> None:
    """Write one row per pair, with the columns of `COLUMNS`.

    `exact` is 1 or 0, and `labels_differ` has ';' between the classes. UTF-8; bytes of a file name
    that are not UTF-8 are written unchanged.

    Raises:
        OSError: it cannot be written; an existing file is as it was.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for pair in found.pairs:
        one, other = (pair.path, pair.split), (pair.other_path, pair.other_split)
        differ = ";".join(pair.labels_differ)
        writer.writerow((*one, *other, pair.distance, int(pair.exact), differ))
    atomic.write(file, text.getvalue().encode("utf-8", "surrogateescape"))


def _load(folder: Path) -> _Set:
    manifest = read_manifest(folder)
    names = tuple(manifest.splits)
    parts = [load_split(folder, name) for name in names]
    empty = np.empty((0, len(manifest.classes)), np.int8)
    return _Set(
        classes=manifest.classes,
        names=names,
        images=tuple(image for part in parts for image in part.images),
        splits=np.repeat(np.arange(len(parts)), [len(part.images) for part in parts]),
        labels=np.concatenate([empty, *(part.labels for part in parts)]),
        sha256=tuple(sha256 for part in parts for sha256 in part.sha256),
    )


def _hash_all(
    images: Sequence[ImageRef],
    max_pixels: int,
    workers: int,
    progress: Callable[[int, int, int], None],
) -> list[int | Fault | None]:
    """Hash images in threads: in order, 64 bits, None for a flat image, or what is wrong."""
    chunks = [images[at : at + _CHUNK_IMAGES] for at in range(0, len(images), _CHUNK_IMAGES)]
    hashes: list[int | Fault | None] = []
    bad = 0
    pool = ThreadPoolExecutor(workers, thread_name_prefix="hash")
    try:
        for found in pool.map(partial(_hash_chunk, max_pixels=max_pixels), chunks):
            hashes += found
            bad += sum(isinstance(one, Fault) for one in found)
            progress(len(hashes), len(images), bad)
    finally:
        pool.shutdown(cancel_futures=True)
    return hashes


def _hash_chunk(images: Sequence[ImageRef], *, max_pixels: int) -> list[int | Fault | None]:
    return [_hash(image, max_pixels) for image in images]


def _hash(image: ImageRef, max_pixels: int) -> int | Fault | None:
    def work() -> int | None:
        data = image_file.read_bytes(image, max_pixels=max_pixels)
        return hash_image(data, max_pixels=max_pixels)

    try:
        return spared(work)
    except BadImage as bad:
        return bad.fault


def _nearest(packed: _Set, hashes: Sequence[int | Fault | None], distance: int) -> Nearest:
    """The nearest image by hash, for all rows; -1 for those without a hash."""
    has_hash = np.array([isinstance(one, int) for one in hashes], bool)
    rows = np.flatnonzero(has_hash)
    values = np.array([one for one in hashes if isinstance(one, int)], np.uint64)
    found = find_nearest(values, packed.splits[rows], count=len(packed.names), distance=distance)
    nearest = Nearest(
        np.full((len(hashes), len(packed.names)), -1, np.int64),
        np.zeros((len(hashes), len(packed.names)), np.int64),
    )
    if len(rows):
        nearest.rows[rows] = np.where(found.rows < 0, -1, rows[found.rows])
        nearest.distances[rows] = found.distances
    return nearest


def _with_exact(packed: _Set, nearest: Nearest) -> Nearest:
    """Let an exact copy, if there is one, be the nearest, also for images without a hash."""
    rows, distances = nearest.rows.copy(), nearest.distances.copy()
    groups: dict[str, list[int]] = defaultdict(list)
    for row, sha256 in enumerate(packed.sha256):
        groups[sha256].append(row)
    for group in groups.values():
        if len(group) == 1:
            continue
        first: dict[int, list[int]] = defaultdict(list)
        for row in group:
            first[int(packed.splits[row])].append(row)
        for row in group:
            for split, copies in first.items():
                other = next((copy for copy in copies[:2] if copy != row), None)
                if other is not None:
                    rows[row, split], distances[row, split] = other, 0
    return Nearest(rows, distances)


def _pairs(packed: _Set, nearest: Nearest) -> Iterator[DuplicatePair]:
    """Each pair once: across splits first, then exact copies, then the nearest."""
    ones, splits = np.nonzero(nearest.rows >= 0)
    others = nearest.rows[ones, splits]
    found = {
        (max(one, other), min(one, other)): distance
        for one, other, distance in zip(
            ones.tolist(), others.tolist(), nearest.distances[ones, splits].tolist(), strict=True
        )
    }
    described = [
        (_describe(packed, one, other, distance), one, other)
        for (one, other), distance in found.items()
    ]
    described.sort(
        key=lambda row: (not row[0].is_leak, not row[0].exact, row[0].distance, *row[1:])
    )
    return (pair for pair, _, _ in described)


def _describe(packed: _Set, one: int, other: int, distance: int) -> DuplicatePair:
    # -1, a difficult class, contradicts neither 1 nor 0
    differ = packed.labels[one].astype(np.int64) * packed.labels[other] == 0
    differ &= (packed.labels[one] == 1) | (packed.labels[other] == 1)
    return DuplicatePair(
        path=packed.images[one].name,
        split=packed.names[packed.splits[one]],
        other_path=packed.images[other].name,
        other_split=packed.names[packed.splits[other]],
        distance=distance,
        exact=packed.sha256[one] == packed.sha256[other],
        labels_differ=tuple(packed.classes[c] for c in np.flatnonzero(differ)),
    )


def _count(packed: _Set, chosen: NDArray[np.bool_]) -> dict[str, int]:
    counts = np.bincount(packed.splits[chosen], minlength=len(packed.names))
    return dict(zip(packed.names, counts.tolist(), strict=True))
