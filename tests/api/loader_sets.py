"""Packed sets, loaders of them and what they give: for the tests of loaders and pipelines."""

from __future__ import annotations

import shutil
import threading
from typing import TYPE_CHECKING, Any

from quick_packing import pack_quickly

from shards.reader import load_split
from shards.sources.voc.read import read_voc
from vocscore.api.loader import loader
from vocscore.config.training import AugmentationConfig

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    import numpy as np

    from vocscore.api.batch_loader import BatchLoader
    from vocscore.pipeline.batch import Batch

SIZE = 32
AUGMENTATION = AugmentationConfig(crop_scale=0.5, flip=0.5, jitter=0.3)


def pack_drawn(voc_tree: Path, out: Path) -> Path:
    """The drawn tree as shards of 7 images: 30 to train on, 18 to validate with."""
    annotated = read_voc(voc_tree)
    splits = {"train": annotated.samples[:30], "val": annotated.samples[30:]}
    return pack_quickly(annotated, splits, out)


def damaged(shards: Path, out: Path, *, rows: tuple[int, ...]) -> Path:
    """A copy in which the pixels of some training images are destroyed."""
    shutil.copytree(shards, out)
    refs = load_split(out, "train").images
    for row in rows:
        with open(refs[row].file, "r+b") as tar:  # noqa: PTH123 - the name is text
            tar.seek(refs[row].offset + refs[row].size // 2)
            tar.write(b"\xff\xd8" * 20)
    return out


def opened(source: Any, **changes: Any) -> BatchLoader:
    settings = {"size": SIZE, "batch_size": 8, "workers": 2, "device": "cpu", **changes}
    return loader(source, **settings)


def shuffled(packed: Path, **changes: Any) -> BatchLoader:
    return opened(packed, split="train", shuffle=True, seed=5, **changes)


def taken(batches: Iterable[Batch]) -> list[tuple[list[int], bytes, bytes]]:
    """Rows, pixels and labels of each batch."""
    found = []
    for batch in batches:
        labels = b"" if batch.labels is None else batch.labels.tobytes()
        found.append((batch.rows.tolist(), batch.images.numpy().tobytes(), labels))
    return found


def rows_of(batches: Iterable[Batch]) -> list[int]:
    return [int(row) for batch in batches for row in batch.rows]


def decoding_threads() -> int:
    return sum(thread.name.startswith("vocscore-") for thread in threading.enumerate())


def pixels_by_row(batches: Iterable[Batch]) -> dict[int, np.ndarray]:
    return {
        int(row): pixels
        for batch in batches
        for row, pixels in zip(batch.rows, batch.images.numpy(), strict=True)
    }
