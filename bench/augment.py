"""What random crops, flips and colors cost the host loader, beside torchvision's way."""

from __future__ import annotations

from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING

from PIL import Image
from torchvision import transforms

from bench.outcome import Outcome
from bench.peers.dataloader import TorchLoader
from bench.peers.ours import MakerLoader
from bench.peers.task import Task
from bench.timing import interleave
from vocscore.machine import usable_cores
from vocscore.pipeline.augment import Augmentation, Views
from vocscore.pipeline.preprocess import Preprocess

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import torch

    from bench.peers.task import Loader
    from shards.sample import ImageRef

IMAGES = 512
BATCH = 32
AUGMENTATION = Augmentation(crop_scale=0.35, flip=0.5, jitter=0.2)
GEOMETRY = Augmentation(crop_scale=0.35, flip=0.5)
USUAL = "DataLoader, PIL, torchvision v1"
PLAIN, CROPPED, OURS = "vocscore, host, plain", "vocscore, host, crop and flip", "vocscore, host"


def compare_augmented(images: Sequence[ImageRef], scratch: Path, *, repeats: int) -> Outcome:
    """Rates with and without; that the pixels are torchvision's is proved in the tests.

    Args:
        images: loose files.
        scratch: for whoever needs it.
        repeats: counted rounds.
    """
    preprocess = Preprocess(upright=False)  # as the usual loader has it
    task = Task(images, preprocess, batch=BATCH, workers=usable_cores(), scratch=scratch)
    views = {PLAIN: None, CROPPED: GEOMETRY, OURS: AUGMENTATION}
    with closing(TorchLoader(task, ReadAugmented(preprocess))) as usual:
        loaders: dict[str, Loader] = {USUAL: usual}
        for name, augmentation in views.items():
            drawn = None if augmentation is None else Views(augmentation, seed=0, epoch=1)
            loaders[name] = MakerLoader(task, "host", views=drawn)
        rates = interleave(
            {name: partial(_count, loader) for name, loader in loaders.items()}, repeats=repeats
        )
        for loader in loaders.values():
            loader.close()
    return Outcome(
        contest="augment",
        title="augment: files to normalized, augmented batches of 256x256 on the CPU",
        rates=rates,
        baseline=USUAL,
        facts={"batch": task.batch, "workers": task.workers},
        lines=tuple(
            f"{name}: {1e3 * task.workers * (1 / rates[name].median - 1 / rates[PLAIN].median):.2f}"
            " ms of a core an image more than plain"
            for name in (CROPPED, OURS)
        ),
    )


class ReadAugmented:
    """PIL and torchvision's transforms v1: what most people write."""

    def __init__(self, preprocess: Preprocess) -> None:
        """Compose once."""
        strength = AUGMENTATION.jitter
        self._transform = transforms.Compose(
            [
                transforms.RandomResizedCrop(preprocess.size, scale=(AUGMENTATION.crop_scale, 1.0)),
                transforms.RandomHorizontalFlip(AUGMENTATION.flip),
                transforms.ColorJitter(strength, strength, strength),
                transforms.ToTensor(),
                transforms.Normalize(preprocess.mean, preprocess.std),
            ]
        )

    def __call__(self, file: str) -> torch.Tensor:
        """One image, float32 (3, size, size)."""
        with Image.open(file) as image:
            pixels: torch.Tensor = self._transform(image.convert("RGB"))
        return pixels


def _count(loader: Loader) -> int:
    return sum(len(ready.rows) for ready in loader.batches())
