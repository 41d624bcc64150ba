"""Checks that a set of shards is complete and undamaged, and lists every problem."""

from __future__ import annotations

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

import numpy as np

from shards import raw_images
from shards.classes import encode
from shards.errors import BadImage, DamageError, LabelError
from shards.files import open_binary, read_regular
from shards.images import image_file
from shards.index import Component, format_index, group
from shards.manifest import NAME, UNFINISHED, Manifest, Shard, index_name, read_manifest, split_of
from shards.members import (
    DESCRIPTION,
    LABELS,
    NPY_HEADER_BYTES,
    Description,
    npy_header,
    parse_description,
)
from shards.tar.walk import members

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from shards.raw_images import RawForm

_STRETCH_BYTES: Final = 4 << 20
_CURE: Final = "Copy the set again, or pack it again."


def verify(
    folder: Path,
    *,
    decode: bool,
    workers: int = 1,
    progress: Callable[[int, int, int], None] | None = None,
) -> list[str]:
    """Check hashes, sizes, indexes, counts, keys, labels, descriptions and image hashes.

    Args:
        folder: the set.
        decode: also decode every image, strictly.
        workers: shards checked concurrently, one thread each.
        progress: called with the samples checked, the total, and the problems so far.

    Returns:
        One line per problem, naming shard and sample; empty for an intact set.
    """
    try:
        manifest = read_manifest(folder)
    except DamageError as error:
        return [str(error)]
    problems = _strays(folder, manifest)
    total = sum(split.samples for split in manifest.splits.values())
    done = 0
    check = partial(_check_shard, folder, manifest, decode=decode)
    with ThreadPoolExecutor(workers, thread_name_prefix="verify") as pool:
        jobs = list(_jobs(manifest))
        for job, found in zip(jobs, pool.map(check, jobs), strict=True):
            problems += found
            done += job.shard.samples
            if progress is not None:
                progress(done, total, len(problems))
    return problems


@dataclass(frozen=True, slots=True)
class _Job:
    """One shard to check, with the serial number of its first sample."""

    split: str
    shard: Shard
    serial: int


def _jobs(manifest: Manifest) -> Iterator[_Job]:
    for name, split in manifest.splits.items():
        serial = 0
        for shard in split.shards:
            yield _Job(name, shard, serial)
            serial += shard.samples


def _strays(folder: Path, manifest: Manifest) -> list[str]:
    """Files that look like part of the set but are not."""
    ours = {name for s in manifest.shards() for name in (s.name, index_name(s.name))}
    staged = folder / UNFINISHED
    found = [path for path in folder.iterdir() if path.name not in ours]
    # A run killed between its last two steps leaves a `.progress` without shards in it: the set
    # is complete, and packing again removes the folder.
    found += staged.iterdir() if staged.is_dir() else ()
    return [
        f"{path.relative_to(folder)}: not listed in {NAME}: left by another run. Remove it."
        for path in sorted(found)
        if split_of(path.name) or (path.name.startswith(".") and path.suffix == ".tmp")
    ]


def _check_shard(folder: Path, manifest: Manifest, job: _Job, *, decode: bool) -> list[str]:
    """Check one tar and its index."""
    tar, shard = folder / job.shard.name, job.shard
    try:
        size, sha256 = _hash(tar)
    except OSError as error:
        return [f"{shard.name}: cannot be read: {error.strerror}. {_CURE}"]
    problems: list[str] = []
    if size != shard.bytes:
        problems.append(f"{shard.name}: {size} bytes, but {NAME} says {shard.bytes}. {_CURE}")
    elif sha256 != shard.sha256:
        problems.append(f"{shard.name}: its sha256 differs from {NAME}. {_CURE}")
    samples: list[tuple[Component, ...]] = []
    try:
        samples.extend(group(members(tar)))
    except DamageError as error:
        problems.append(str(error))
    problems += _check_index(folder, shard, samples)
    if len(samples) != shard.samples:
        problems.append(
            f"{shard.name}: {len(samples)} samples, but {NAME} says {shard.samples}. {_CURE}"
        )
    with open_binary(tar) as file:
        for serial, sample in enumerate(samples, start=job.serial):
            key = f"{job.split}-{serial:08d}"
            wrong = _check_sample(file.fileno(), sample, key, manifest, decode=decode)
            problems += [f"{shard.name}: sample {key}: {line}. {_CURE}" for line in wrong]
    return problems


def _hash(file: Path) -> tuple[int, str]:
    """Size in bytes, and sha256."""
    sha256 = hashlib.sha256()
    size = 0
    with open_binary(file) as opened:
        while stretch := opened.read(_STRETCH_BYTES):
            sha256.update(stretch)
            size += len(stretch)
    return size, sha256.hexdigest()


def _check_index(folder: Path, shard: Shard, samples: list[tuple[Component, ...]]) -> list[str]:
    name = index_name(shard.name)
    try:
        data = read_regular(folder / name)
    except OSError as error:
        return [f"{name}: cannot be read: {error.strerror}. {_CURE}"]
    return [] if data == format_index(samples) else [f"{name}: does not match its tar. {_CURE}"]


def _check_sample(
    descriptor: int,
    sample: tuple[Component, ...],
    key: str,
    manifest: Manifest,
    *,
    decode: bool,
) -> Iterator[str]:
    """Yield the problems of one sample."""
    names = [component.name for component in sample]
    image = sample[0].extension if manifest.raw is None else raw_images.EXTENSION
    if names != [f"{key}.{kind}" for kind in (image, LABELS, DESCRIPTION)]:
        yield f"its members are {', '.join(names)}"
        return
    data, labels, text = (os.pread(descriptor, c.size, c.offset) for c in sample)
    described = parse_description(text)
    if described is None:
        yield f"its .{DESCRIPTION} is damaged"
    else:
        yield from _check_image(data, described, manifest.raw, decode=decode)
    yield from _check_labels(labels, described, manifest.classes)


def _check_image(
    data: bytes, described: Description, raw: RawForm | None, *, decode: bool
) -> Iterator[str]:
    if hashlib.sha256(data).hexdigest() != described.sha256:
        yield f"its image's sha256 differs from its .{DESCRIPTION}"
    width, height = described.width, described.height
    try:
        if raw is not None:
            raw_images.pixels_of(data, raw)
            head = image_file.Header(raw_images.EXTENSION, raw.size, raw.size)
        else:
            head = image_file.check(data, max_pixels=width * height, whole=decode)
    except BadImage as bad:
        yield f"its image cannot be used: {bad}"
    else:
        if (head.width, head.height) != (width, height):
            size = f"{head.width} x {head.height}"
            yield f"its image is {size}, but its .{DESCRIPTION} says {width} x {height}"


def _check_labels(
    labels: bytes, described: Description | None, classes: Sequence[str]
) -> Iterator[str]:
    head, row = labels[:NPY_HEADER_BYTES], np.frombuffer(labels[NPY_HEADER_BYTES:], np.int8)
    if (
        head != npy_header(len(classes))
        or len(row) != len(classes)
        or not np.isin(row, (-1, 0, 1)).all()
    ):
        yield f"its {LABELS} is not {len(classes)} values of -1, 0 or 1"
    elif described is not None:
        try:
            if encode(described.sample, classes).tobytes() != row.tobytes():
                yield f"its {LABELS} and the names in its .{DESCRIPTION} differ"
        except LabelError as error:
            yield f"its .{DESCRIPTION} names an unknown class ({error})"
