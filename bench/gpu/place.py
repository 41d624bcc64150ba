"""Where the GPU's sections run: the device, the clock, the shards and the checkpoints."""

from __future__ import annotations

import gc
import io
import math
import os
import tarfile
import time
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import torch

from bench.images import make_images
from bench.peers.task import AbsentError
from bench.timing import Rate
from shards.classes import VOC_CLASSES
from shards.images import image_file
from vocscore.config import PackConfig, ScoreConfig
from vocscore.machine import usable_cores
from vocscore.models.card import ModelCard
from vocscore.models.checkpoint import save_checkpoint
from vocscore.models.network import build_network
from vocscore.pipeline.dali import DaliLoader
from vocscore.pipeline.dali_decoder import DEFAULT_TUNING
from vocscore.pipeline.preprocess import Preprocess
from vocscore.scoring.inputs.globs import EVERYTHING
from vocscore.scoring.inputs.sources import read_source

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from shards.sample import ImageRef
    from vocscore.pipeline.batch import Batch
    from vocscore.pipeline.dali_decoder import Tuning

JPEG = "JPEG shards"
RESIZED = "pre-resized shards"
DIETS = (JPEG, RESIZED)
TIME_IS_UP = "not run: the time was up"
_DIFFERENT = 20


@dataclass(frozen=True, kw_only=True)
class Place:
    """One call of `python -m bench gpu`.

    Attributes:
        device: 'cuda:N'; 'cpu' tries the sections out, and its figures mean nothing.
        scratch: a folder of the bench's own.
        quick: smaller sweeps.
        seconds: that each measurement takes at least.
        repeats: counted turns of each contestant.
        shard: images a shard.
        shards: of each diet; one file under several names.
        size: pixels a side of the networks' input.
        batch: images that decode and network take at once, where that is not swept.
        backbones: that are measured.
        until: of `time.monotonic`; what has not begun by then is left out.
    """

    device: str
    scratch: Path
    quick: bool = False
    seconds: float = 1.0
    repeats: int = 2
    shard: int = 1000
    shards: int = 20
    size: int = 256
    batch: int = 256
    backbones: tuple[str, ...] = ("resnet18", "googlenet", "alexnet")
    until: float = math.inf

    @property
    def time_is_up(self) -> bool:
        """Whether nothing more is to be begun."""
        return time.monotonic() > self.until

    @property
    def on_gpu(self) -> bool:
        """Whether the figures mean something."""
        return self.device != "cpu"

    @property
    def preprocess(self) -> Preprocess:
        """Not turned upright: the peers do not."""
        return Preprocess(size=self.size, upright=False)

    @property
    def precision(self) -> str:
        """What `score` runs with."""
        return "bf16" if self.on_gpu else "float32"

    def folder(self, diet: str) -> Path:
        """The shards of a diet."""
        folder = self.scratch / diet.replace(" ", "-")
        if not folder.exists():
            folder.mkdir(parents=True)
            self._write(folder / "000000.tar", diet)
            for number in range(1, self.shards):
                os.link(folder / "000000.tar", folder / f"{number:06d}.tar")
        return folder

    def refs(self, diet: str) -> list[ImageRef]:
        """Every image of a diet, as the loaders take them."""
        inputs = read_source(self.folder(diet), globs=EVERYTHING, listing=None)
        units = inputs.units(ScoreConfig.unit_size)
        return [ref for unit in units for ref in unit.read().images]

    def _write(self, file: Path, diet: str) -> None:
        images = _images(self.scratch, self.size if diet == RESIZED else None)
        with tarfile.open(file, "w", format=tarfile.USTAR_FORMAT) as tar:
            for number in range(self.shard):
                data = images[number % len(images)]
                member = tarfile.TarInfo(f"{number:06d}.jpg")
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))

    def checkpoint(self, backbone: str) -> Path:
        """A checkpoint of random weights whose probabilities are spread."""
        folder = self.scratch / f"run-{backbone}"
        if not folder.exists():
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(0)
                network = build_network(
                    backbone, classes=len(VOC_CLASSES), weights="none", size=self.size
                )
                torch.nn.init.normal_(network.head.weight, std=0.1)
            card = ModelCard(backbone, VOC_CLASSES, self.preprocess, 0.5, "none")
            save_checkpoint(folder, network, card)
        return folder

    def loader(
        self,
        *,
        device: str | None = None,
        batch: int | None = None,
        threads: int | None = None,
        tuning: Tuning = DEFAULT_TUNING,
    ) -> DaliLoader:
        """Open DALI's loader; what is not named is the place's."""
        return DaliLoader(
            self.preprocess,
            batch_size=batch or self.batch,
            threads=threads or usable_cores(),
            device=device or self.device,
            max_pixels=ScoreConfig.max_pixels,
            tuning=tuning,
        )

    def rate(self, work: Callable[[], int]) -> Rate:
        """Images per second of work that returns how many it did, after one turn not counted.

        Once the time is up, the turn under way is the last.
        """
        work()
        self.wait()
        values: list[float] = []
        until = time.perf_counter() + self.seconds
        while not values or (
            not self.time_is_up and (len(values) < self.repeats or time.perf_counter() < until)
        ):
            started = time.perf_counter()
            images = work()
            self.wait()
            values.append(images / (time.perf_counter() - started))
        return Rate(tuple(values))

    def rates(
        self, contestants: Mapping[str, Callable[[], Rate]]
    ) -> tuple[dict[str, Rate], dict[str, str]]:
        """Measure one after the other until the time is up.

        Args:
            contestants: name -> what measures it, or raises an AbsentError.

        Returns:
            What was measured; name -> why not, of the others.
        """
        found: dict[str, Rate] = {}
        absent: dict[str, str] = {}
        for name, measure in contestants.items():
            if self.time_is_up:
                absent[name] = TIME_IS_UP
                continue
            try:
                found[name] = measure()
            except AbsentError as error:
                absent[name] = str(error)
        return found, absent

    def consume(self, batches: Iterable[Batch]) -> int:
        """Take batches and throw them away; wait for the device at the end."""
        rows = sum(len(batch.rows) for batch in batches)
        self.wait()
        return rows

    def wait(self) -> None:
        """Let the device finish."""
        if self.on_gpu:
            torch.cuda.synchronize(self.device)

    def tidy(self) -> None:
        """Give memory back between sections."""
        gc.collect()
        if self.on_gpu:
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats(self.device)


@cache
def _images(scratch: Path, size: int | None) -> tuple[bytes, ...]:
    """The JPEGs that differ; with a size, as `pack --resize` re-encodes them."""
    folder = scratch / "different"
    if not folder.exists():
        make_images(folder, images=_DIFFERENT)
    data = [file.read_bytes() for file in sorted(folder.iterdir())]
    if size is None:
        return tuple(data)
    return tuple(
        image_file.resize_jpeg(
            one, size=size, quality=PackConfig.quality, max_pixels=PackConfig.max_pixels
        )
        for one in data
    )
