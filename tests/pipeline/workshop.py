"""What tests of the loaders share: images on disk, loaders by name, batches taken apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shards.sample import ImageRef
from vocscore.pipeline.loaders import open_loader
from vocscore.pipeline.preprocess import Preprocess

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    import numpy as np

    from vocscore.pipeline.batch import Batch, ImageLoader

MAX_PIXELS = 50_000_000
FITTED = {
    "crop bilinear": Preprocess(size=64, fit="crop", crop_fraction=0.875),
    "crop bicubic": Preprocess(size=96, fit="crop", interpolation="bicubic", crop_fraction=0.9),
    "pad bilinear": Preprocess(size=64, fit="pad", pad_color=(124, 116, 104)),
    "pad bicubic": Preprocess(size=95, fit="pad", interpolation="bicubic"),
    "squash bicubic": Preprocess(size=64, interpolation="bicubic"),
}
"""Fits and interpolations other than the usual ones."""


def write(folder: Path, files: Mapping[str, bytes]) -> list[ImageRef]:
    """Write each file under a number; its reference keeps the name."""
    folder.mkdir(exist_ok=True)
    refs = []
    for number, (name, data) in enumerate(files.items()):
        path = folder / f"{number:04d}"
        path.write_bytes(data)
        refs.append(ImageRef(name, str(path)))
    return refs


def make(
    name: str, preprocess: Preprocess, *, batch_size: int = 7, device: str = "cpu", threads: int = 2
) -> ImageLoader:
    return open_loader(
        name,
        preprocess,
        batch_size=batch_size,
        device=device,
        threads=threads,
        max_pixels=MAX_PIXELS,
    )


def by_row(batches: Iterable[Batch]) -> dict[int, np.ndarray]:
    """Row -> pixels, uint8, shape (3, size, size)."""
    return {
        int(row): image
        for batch in batches
        for row, image in zip(batch.rows, batch.images.cpu().numpy().copy(), strict=True)
    }


def rows_in_order(batches: Sequence[Batch]) -> list[int]:
    """Every row that came out, decoded or failed, batch by batch."""
    return [
        row
        for batch in batches
        for row in sorted([*batch.rows.tolist(), *(failure.row for failure in batch.failures)])
    ]
