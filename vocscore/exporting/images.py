"""Images for comparing a model with its original."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from shards.paths import is_image
from shards.sample import ImageRef
from shards.synthetic.voc import draw_voc
from vocscore.device import CPU
from vocscore.errors import ExportError
from vocscore.machine import usable_cores
from vocscore.pipeline.loaders import open_loader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    import torch

    from shards.errors import Error
    from vocscore.models.card import ModelCard


def found_below(folder: Path, *, most: int) -> tuple[ImageRef, ...]:
    """Return the first images in a folder and its subfolders, sorted by path.

    Raises:
        ExportError: there are none.
    """
    files = sorted(file for file in folder.rglob("*") if is_image(file.name))
    if not files:
        raise ExportError(f"{folder}: contains no images. Name another folder with --images.")
    return tuple(ImageRef(str(file.relative_to(folder)), str(file)) for file in files[:most])


def drawn_in(folder: Path, *, number: int) -> tuple[ImageRef, ...]:
    """Draw images into a folder; the caller removes it."""
    return found_below(draw_voc(folder, images=number) / "JPEGImages", most=number)


def decoded(
    images: Sequence[ImageRef],
    card: ModelCard,
    *,
    batch_size: int,
    max_pixels: int,
    refuse: Callable[[str], Error],
) -> Iterator[torch.Tensor]:
    """Yield batches of the images that can be decoded, uint8 (N, 3, S, S); at least one.

    Args:
        images: what to decode.
        card: has the preprocessing.
        batch_size: images in a full batch.
        max_pixels: as for `image_file.decode`.
        refuse: makes the error of images of which none can be decoded, from the reason.
    """
    some, last = False, ""
    with closing(
        open_loader(
            "host",
            card.preprocess,
            batch_size=batch_size,
            device=CPU,
            threads=usable_cores(),
            max_pixels=max_pixels,
        )
    ) as loader:
        for batch in loader.batches(images):
            for failure in batch.failures:
                last = f"{images[failure.row].name}: {failure.fault}"
            if len(batch.rows):
                some = True
                yield batch.images
    if not some:
        raise refuse(f"none of {len(images)} images can be decoded ({last})")
