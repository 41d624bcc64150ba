"""Decodes the images on which a model is compared with its original."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from vocscore.device import CPU
from vocscore.machine import usable_cores
from vocscore.pipeline.loaders import open_loader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import torch

    from shards.errors import Error
    from shards.sample import ImageRef
    from vocscore.models.card import ModelCard


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
