"""Packed sets for the tests of the loader and of webdataset's pipeline."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from shards.classes import VOC_CLASSES
from shards.packing.pack import pack
from shards.reader import load_split
from shards.sources.voc.read import read_voc

if TYPE_CHECKING:
    from pathlib import Path


def pack_drawn(voc_tree: Path, out: Path) -> Path:
    """The drawn tree as shards of 7 images: 30 to train on, 18 to validate with."""
    annotated = read_voc(voc_tree)
    pack(
        annotated,
        {"train": annotated.samples[:30], "val": annotated.samples[30:]},
        out,
        classes=VOC_CLASSES,
        shard_samples=7,
        verify=False,
        max_bad=0,
        max_pixels=10**6,
        resize=None,
        quality=95,
        workers=1,
        overwrite=False,
        settings={},
    )
    return out


def damaged(shards: Path, out: Path, *, rows: tuple[int, ...]) -> Path:
    """A copy in which the pixels of some training images are destroyed."""
    shutil.copytree(shards, out)
    refs = load_split(out, "train").images
    for row in rows:
        with open(refs[row].file, "r+b") as tar:  # noqa: PTH123 - the name is text
            tar.seek(refs[row].offset + refs[row].size // 2)
            tar.write(b"\xff\xd8" * 20)
    return out
