"""Small sets to pack, for the tests of this folder."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from shards.index import format_index, group
from shards.packing.pack import PackReport, pack
from shards.sample import AnnotatedSet, Sample
from shards.tar.walk import members

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

CLASSES = ("cat", "dog", "person")


def image_bytes(seed: int, kind: str = "JPEG", *, width: int = 20, height: int = 16) -> bytes:
    """An image of noise, 20 x 16 pixels, in any format of Pillow."""
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind)
    return file.getvalue()


def small_set(root: Path, *, images: int = 14, bad: Collection[int] = ()) -> AnnotatedSet:
    """Images of noise with labels, 1 in 3 with a 'difficult' class; those of `bad` cut short.

    Images that are there already stay as they are: their times are part of the plan.
    """
    root.mkdir(parents=True, exist_ok=True)
    samples = []
    for i in range(images):
        file = root / f"{i:03d}.jpg"
        if not file.exists():
            file.write_bytes(image_bytes(i)[: -200 if i in bad else None])
        difficult = ("person",) if i % 3 == 0 else ()
        samples.append(Sample(file.name, (CLASSES[i % 2],), difficult))
    return AnnotatedSet(root, tuple(samples))


def pack_small(annotated: AnnotatedSet, out: Path, **changes: Any) -> PackReport:
    """Pack into shards of 3, the last third as 'val'; `changes` are arguments of `pack`."""
    cut = len(annotated.samples) * 2 // 3
    splits = {"train": annotated.samples[:cut], "val": annotated.samples[cut:]}
    arguments: dict[str, Any] = {
        "classes": CLASSES,
        "shard_samples": 3,
        "verify": True,
        "max_bad": 0.0,
        "max_pixels": 1_000_000,
        "resize": None,
        "quality": 95,
        "workers": 2,
        "overwrite": False,
        "settings": {"seed": 0},
    }
    splits = changes.pop("splits", splits)
    return pack(annotated, splits, out, **(arguments | changes))


def content(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, by its name."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def build_index(tar: Path) -> bytes:
    """The index of a tar as it stands."""
    return format_index(list(group(members(tar))))
