"""Files to batches: vocscore's loaders beside other libraries', and the cost of bad files."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import vocscore as vs
from bench.outcome import OWN, Outcome, held
from bench.peers.dataloader import open_opencv, open_usual, open_v2
from bench.peers.libraries import DaliLoader, SpdlLoader, TimmLoader, WebDatasetLoader
from bench.peers.task import (
    Loader,
    ReadyBatch,
    Task,
    mean_difference,
    open_agreeing,
    pixel_values,
    turn,
)
from bench.product import own_loader
from bench.timing import consume, interleave
from shards.sample import ImageRef
from vocscore.machine import usable_cores
from vocscore.pipeline.preprocess import Preprocess

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    import torch

    from bench.contests import Options
    from bench.peers.task import Agreeing
    from vocscore.pipeline.batch import Batch, ImageLoader

IMAGES = {
    "voc": 512,
    "large": 32,
    "mosaic": 32,
    "progressive": 32,
    "medium": 64,
    "thumbnails": 1024,
    "png": 128,
    "resized": 512,
}
"""Kind -> images per turn, chosen so that a turn lasts at least a second."""
BATCH = 32
BATCHES_PER_WORKER = 4
"""At least; with few images, batches are smaller so that every worker has some."""
LARGEST_MEAN_DIFFERENCE = 1.5
"""Mean difference to the usual loader's pixels, in gray levels, over all images.

Antialiased resizers differ by 0 to 0.3 (rounding) if chroma is upsampled as libjpeg does, and by
1.1 if not (FFmpeg, OpenCV's box filter); a resizer without antialiasing (OpenCV's INTER_LINEAR)
differs by 2.8 on VOC's photographs.
"""
LEAST_RATE = 1 / 3
"""Share of a clean folder's rate that a dirty one must keep."""


class OwnLoader(Loader):
    """One of vocscore's loaders, then the normalization, which runs on the network's device.

    Args:
        loader: is closed.
        epoch: its batches, in order.
        normalize: uint8 to float32.
    """

    def __init__(
        self,
        loader: ImageLoader | vs.BatchLoader,
        epoch: Callable[[], Iterable[Batch]],
        normalize: Callable[[torch.Tensor], torch.Tensor],
    ) -> None:
        self._loader, self._epoch, self._normalize = loader, epoch, normalize

    def batches(self) -> Iterator[ReadyBatch]:
        """In order."""
        for batch in self._epoch():
            yield ReadyBatch(self._normalize(batch.images), batch.rows.tolist())

    def close(self) -> None:
        """End the threads."""
        self._loader.close()


def open_own(task: Task, name: str) -> Loader:
    """The loader that `score` and `train` use."""
    loader = own_loader(name, task.preprocess, batch_size=task.batch)
    return OwnLoader(loader, partial(loader.batches, task.refs), task.preprocess.normalize)


def open_public(task: Task) -> Loader:
    """`vocscore.loader`, as a user's training loop calls it."""
    settings = {"preprocess": task.preprocess, "workers": task.workers, "device": "cpu"}
    loader = vs.loader(task.files, batch_size=task.batch, **settings)  # type: ignore[arg-type]
    return OwnLoader(loader, loader.__iter__, loader.normalize)


USUAL, HOST = "DataLoader, PIL, torchvision v1", "vocscore, host"
CONTESTANTS: Mapping[str, Callable[[Task], Loader]] = {
    # In this order: processes are forked before other contestants start threads.
    USUAL: open_usual,
    "DataLoader, torchvision v2": open_v2,
    "DataLoader, OpenCV": open_opencv,
    "timm": TimmLoader,
    "webdataset": WebDatasetLoader,
    "SPDL": SpdlLoader,
    "DALI, CPU graph": DaliLoader,
    "vocscore, DALI (CPU)": partial(open_own, name="dali"),
    HOST: partial(open_own, name="host"),
    "vocscore.loader": open_public,
}
"""Name -> function that opens it for a task; names that start with 'vocscore' are our own."""
NEVER = {
    "FFCV": (
        "no wheel, and pip's build stops at 'Could not find required package: opencv' (C++ headers "
        "of OpenCV and libturbojpeg); it reads its own .beton files, and its decoders crop"
    )
}


def run(options: Options) -> Iterator[Outcome]:
    """Rates of all loaders that run here and whose pixels agree with the first contestant's."""
    images = options.image_set(IMAGES[options.kind])
    with ExitStack() as closing:
        task = make_task(images.refs, options.scratch / "loaders")
        found = open_contestants(task, closing)
        rates = interleave(
            {name: partial(turn, loader, task) for name, loader in found.opened.items()},
            repeats=options.repeats,
        )
    listed = ", ".join(f"{name} {value:.2f}" for name, value in found.differences.items())
    yield Outcome(
        contest="loaders",
        title="loaders: files to normalized float32 batches of 256x256 on the CPU",
        rates=rates,
        peers=tuple(name for name in rates if not name.startswith(OWN)),
        absent={**found.absent, **NEVER},
        key=images.key,
        facts={
            **images.facts,
            "mean_differences": found.differences,
            "workers": task.workers,
            "batch": task.batch,
            "start_up": "not in the clock, for any",
        },
        lines=(f"mean difference to {USUAL}, gray levels: {listed}",),
    )


def make_task(refs: list[ImageRef], scratch: Path) -> Task:
    """The task of all loaders; creates the folder."""
    scratch.mkdir()
    workers = usable_cores()
    return Task(
        refs=refs,
        preprocess=Preprocess(upright=False),  # the usual loader does not turn images
        batch=max(1, min(BATCH, len(refs) // (BATCHES_PER_WORKER * workers))),
        workers=workers,
        scratch=scratch,
    )


def open_contestants(
    task: Task,
    stack: ExitStack,
    *,
    contestants: Mapping[str, Callable[[Task], Loader]] = CONTESTANTS,
) -> Agreeing[Loader]:
    """Open each contestant and compare its pixels with the first one's."""
    return open_agreeing(
        {name: partial(opener, task) for name, opener in contestants.items()},
        stack,
        answers=lambda loader: pixel_values(loader, task),
        difference=mean_difference,
        most=LARGEST_MEAN_DIFFERENCE,
        unit="gray levels",
    )


def dirty(options: Options) -> Iterator[Outcome]:
    """Inputs per second (good and bad), files to batches, and the share of the clean rate."""
    images = options.image_set(128)
    clean, mixed = images.refs, dirty_refs(images.refs, options.scratch / "dirty")
    bad = len(_bad(len(mixed)))
    work = {}
    with ExitStack() as stack:
        for name in ("host", "dali"):
            device = options.device if name == "dali" else "cpu"
            loader = own_loader(name, Preprocess(), batch_size=options.batch_size, device=device)
            stack.callback(loader.close)
            work[f"{name}, clean"] = partial(consume, loader, clean, device=device)
            work[f"{name}, 30% bad"] = partial(consume, loader, mixed, device=device, bad=bad)
        rates = interleave(work, repeats=options.repeats)
    medians = {name: rate.median for name, rate in rates.items()}
    kept = {n: medians[f"{n}, 30% bad"] / medians[f"{n}, clean"] for n in ("host", "dali")}
    yield Outcome(
        contest="dirty",
        title=f"dirty: inputs from file to batch on {options.where}, good and bad",
        rates=rates,
        key=images.key,
        facts={**images.facts, "kept": kept},
        lines=tuple(
            f"{name}: {share:.0%} of the clean rate (at least {LEAST_RATE:.0%}: "
            f"{held(share >= LEAST_RATE)})"
            for name, share in kept.items()
        ),
    )


def damaged(data: bytes, kind: str) -> bytes:
    """Damage a file as files in real folders are."""
    middle = len(data) // 2
    damages = {
        "cut": data[:middle],
        "zeroed": data[:middle] + bytes(4096) + data[middle + 4096 :],
        "html": b"<!doctype html><title>404</title>",
    }
    return damages[kind]


def dirty_refs(refs: Sequence[ImageRef], folder: Path) -> list[ImageRef]:
    """Copy the images to a new folder, with the first three of every ten damaged."""
    folder.mkdir()
    found = [ImageRef(ref.name, str(folder / ref.name)) for ref in refs]
    for row, (ref, copy) in enumerate(zip(refs, found, strict=True)):
        data = Path(ref.file).read_bytes()
        if row in _bad(len(refs)):
            data = damaged(data, ("cut", "zeroed", "html")[row % 10])
        Path(copy.file).write_bytes(data)
    return found


def _bad(images: int) -> set[int]:
    return {row for row in range(images) if row % 10 < 3}
