"""The program under test: the one place where bench packs, trains, scores and opens loaders.

`python -m bench.product RUN SOURCE OUTPUT` scores a folder in a process of its own; a fourth word
is its number of decoding threads, or 'first': the process ends at its first rows.
"""

from __future__ import annotations

import copy
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import vocscore as vs
from vocscore.config.compute import DecodeConfig
from vocscore.config.optimization import OptimizationConfig
from vocscore.config.training import DataConfig, TrainConfig
from vocscore.device import CPU
from vocscore.machine import usable_cores
from vocscore.ranks import ALONE

if TYPE_CHECKING:
    import torch

    from shards.reader import LabeledImages
    from vocscore.api.progress import Progress
    from vocscore.models.network import Network
    from vocscore.pipeline.batch import ImageLoader
    from vocscore.pipeline.preprocess import Preprocess


def pack(source: Path, output: Path, **options: Any) -> None:
    """Pack a VOC tree, or a folder with a CSV of labels; split by a ratio."""
    vs.pack(source, output, split="ratio", progress=False, **options)


def pack_images(folder: Path, output: Path, **options: Any) -> None:
    """Pack a folder of images, all with the same label and in one split, 'train'."""
    labels = output.with_suffix(".csv")
    rows = (f"{file.name},image\n" for file in sorted(folder.iterdir()))
    labels.write_text("path,labels\n" + "".join(rows), encoding="utf-8")
    pack(folder, output, labels=labels, train_fraction=1.0, **options)


def train(shards: Path, output: Path, *, device: str = "cpu", **options: Any) -> None:
    """Train on packed shards."""
    vs.train(shards, output, device=device, progress=False, **options)


def score(
    source: Path | str,
    output: Path,
    *,
    model: Path,
    device: str = "cpu",
    progress: bool | Progress = False,
    **options: Any,
) -> vs.ScoreReport:
    """Score a source into a file, without measuring ceilings."""
    settings = {"device": device, "ceilings": False, **options}
    return vs.score(source, output, model=model, progress=progress, **settings)


def quantize(run: Path, **options: Any) -> None:
    """Write the int8 model beside a run's weights."""
    vs.quantize(run, progress=False, **options)


def own_loader(
    name: str,
    preprocess: Preprocess,
    *,
    batch_size: int = DecodeConfig.batch_size,
    device: str = "cpu",
    threads: int | None = None,
) -> ImageLoader:
    """One of the program's loaders; by default with a thread per core."""
    from vocscore.pipeline.loaders import open_loader

    return open_loader(
        name,
        preprocess,
        batch_size=batch_size,
        device=device,
        threads=threads or usable_cores(),
        max_pixels=DecodeConfig.max_pixels,
    )


class Finetuning:
    """The part of `train --tune all` that trains: an epoch per call, from a network's weights.

    Args:
        network: copied.
        split: images and labels; the first image is also the validation split.
        preprocess: of the images.
        seed: of the order.
    """

    def __init__(
        self, network: Network, split: LabeledImages, preprocess: Preprocess, *, seed: int
    ) -> None:
        from vocscore.training.setup import open_decoding, open_fit
        from vocscore.training.splits import Splits

        choice = OptimizationConfig(tune="all", precision="auto")
        self._decoding = open_decoding(
            "host",
            preprocess,
            choice=choice,
            device=CPU,
            threads=usable_cores(),
            max_pixels=DecodeConfig.max_pixels,
            ranks=ALONE,
            on_images=lambda _more: None,
        )
        first = replace(split, images=split.images[:1], labels=split.labels[:1])
        config = TrainConfig(data=DataConfig(seed=seed), optimization=choice)
        trainer = open_fit(
            copy.deepcopy(network), Splits(split, first), self._decoding, config, features=()
        )
        assert trainer is not None
        self._trainer = trainer
        self._images = len(split.images)
        self._epoch = 0

    def __call__(self) -> int:
        """Train on every image once; return their number."""
        self._epoch += 1
        self._trainer.epoch(self._epoch)
        return self._images

    def weights(self) -> dict[str, torch.Tensor]:
        """The state of the trained network."""
        return self._trainer.weights()

    def close(self) -> None:
        """End the loader's threads."""
        self._decoding.loader.close()


def score_words(
    model: Path,
    source: Path,
    output: Path,
    *,
    first_batch: bool = False,
    threads: int | None = None,
) -> list[str]:
    """The command of a process that scores; with `first_batch` it ends at its first rows."""
    words = [sys.executable, "-m", "bench.product", str(model), str(source), str(output)]
    if threads is not None:
        return [*words, str(threads)]
    return [*words, "first"] if first_batch else words


class _LeaveAtFirstRows:
    """A progress that ends the process when the first rows are done."""

    def stage(self, name: str) -> None: ...

    def listing(self, files: int) -> None: ...

    def __call__(self, done: int, total: int, errors: int = 0) -> None:  # noqa: ARG002 - the protocol's
        if done:
            os._exit(0)  # at once: cleaning up is not part of the start


if __name__ == "__main__":
    _run, _source, _output = map(Path, sys.argv[1:4])
    _how = "".join(sys.argv[4:])
    score(
        _source,
        _output,
        model=_run,
        progress=_LeaveAtFirstRows() if _how == "first" else False,
        workers=int(_how) if _how.isdecimal() else None,
    )
    if _how == "first":
        sys.exit("scoring ended without reporting a row")
