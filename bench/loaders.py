"""From files to batches: the makers beside the loader that most people write."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from bench.timing import Rate, interleave
from vocscore.machine import usable_cores
from vocscore.pipeline.makers import open_maker
from vocscore.pipeline.preprocess import Preprocess

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from shards.sample import PictureRef
    from vocscore.pipeline.batch import Maker

BATCH = 32
MAX_PIXELS = 200_000_000
LARGEST_MEAN_DIFFERENCE = 1.0
"""Grey levels, mean over a batch: two resizers may round differently, not more."""


class Files(Dataset[torch.Tensor]):
    """The usual data set: PIL, then torchvision's transforms."""

    def __init__(self, pictures: Sequence[PictureRef], *, size: int) -> None:
        """Keep the names; open nothing yet."""
        self._files = [picture.file for picture in pictures]
        self._transform = transforms.Compose(
            [transforms.Resize((size, size)), transforms.PILToTensor()]
        )

    def __len__(self) -> int:
        """How many pictures."""
        return len(self._files)

    def __getitem__(self, row: int) -> torch.Tensor:
        """One picture, uint8 (3, size, size)."""
        with Image.open(self._files[row]) as image:
            pixels: torch.Tensor = self._transform(image.convert("RGB"))
        return pixels


def usual_loader(pictures: Sequence[PictureRef], *, size: int) -> DataLoader[torch.Tensor]:
    """A torch DataLoader with a worker a core, as its documentation would have it."""
    return DataLoader(Files(pictures, size=size), batch_size=BATCH, num_workers=usable_cores())


def _count(batches: Iterable[Any], preprocess: Preprocess) -> int:
    """Consume batches to normalised float input, as a network would get them."""
    images = 0
    for batch in batches:
        pixels = batch if isinstance(batch, torch.Tensor) else batch.images
        images += len(preprocess.normalise(pixels))
    return images


def prove_equal(makers: dict[str, Maker], pictures: Sequence[PictureRef]) -> dict[str, float]:
    """Mean grey-level difference of each maker to the usual loader, over one batch.

    Raises:
        ValueError: a contestant does other work than the baseline.
    """
    few = pictures[:BATCH]
    truth = next(iter(usual_loader(few, size=Preprocess().size))).numpy().astype(np.int16)
    differences = {}
    for name, maker in makers.items():
        pixels = next(iter(maker.batches(few))).images.cpu().numpy().astype(np.int16)
        differences[name] = float(np.abs(pixels - truth).mean())
        if differences[name] > LARGEST_MEAN_DIFFERENCE:
            raise ValueError(f"{name} differs from the usual loader by {differences[name]:.2f}")
    return differences


def compare_loaders(
    pictures: Sequence[PictureRef], *, repeats: int
) -> tuple[dict[str, Rate], dict[str, float]]:
    """Rates to a normalised batch on the CPU, and how far the pixels are from the baseline's."""
    # upright=False: the usual loader does not turn pictures
    preprocess = Preprocess(upright=False)
    makers = {
        name: open_maker(
            name,
            preprocess,
            batch_size=BATCH,
            device="cpu",
            threads=usable_cores(),
            max_pixels=MAX_PIXELS,
        )
        for name in ("host", "dali")
    }
    try:
        differences = prove_equal(makers, pictures)
        usual = usual_loader(pictures, size=preprocess.size)
        rates = interleave(
            {
                "DataLoader, PIL, torchvision": lambda: _count(usual, preprocess),
                "host": lambda: _count(makers["host"].batches(pictures), preprocess),
                "dali (CPU)": lambda: _count(makers["dali"].batches(pictures), preprocess),
            },
            repeats=repeats,
        )
    finally:
        for maker in makers.values():
            maker.close()
    return rates, differences
