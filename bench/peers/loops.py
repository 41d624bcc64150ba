"""Files to probabilities: the inference loops that users would otherwise write."""

from __future__ import annotations

import logging
import os
import time
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import torch
from torch import nn

from bench.peers.dataloader import open_usual
from bench.peers.libraries import DaliLoader, TimmLoader
from bench.peers.task import check_rows, open_agreeing
from bench.timing import Timed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import ExitStack

    from numpy.typing import NDArray

    from bench.peers.task import Agreeing, Loader, Task
    from vocscore.models.card import ModelCard
    from vocscore.pipeline.preprocess import Preprocess

USUAL = "usual loop (DataLoader, PIL, eager float32)"
TIMM = "timm's inference loop"
RAY = "Ray Data's batch inference"
DALI = "DALI's graph, eager float32"
_SECONDS_FOR_AN_ACTOR = 300
LARGEST_DIFFERENCE = 0.005
"""Of a probability, to the usual loop: all decode and resize with Pillow and run eager float32."""
LARGEST_ON_GPU = 0.1
"""The same where nvJPEG decodes, whose pixels are a gray level off, and eager float32 is TF32."""


class Scorer(nn.Module):
    """A checkpoint as a plain module: images to probabilities in eager float32."""

    def __init__(self, network: nn.Module, card: ModelCard) -> None:
        super().__init__()
        self._network = network
        self._card = card

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Float32 images (N, 3, size, size) to probabilities (N, C)."""
        return self._card.probabilities(self._network(images))


@dataclass(frozen=True)
class EagerLoop:
    """A loader, and an eager network in the main process.

    https://github.com/pytorch/vision/blob/main/references/classification/train.py (`evaluate`) and
    https://github.com/huggingface/pytorch-image-models/blob/main/inference.py, both without options
    that change the numbers. The network ends in a sigmoid, because labels are independent.
    """

    task: Task
    network: nn.Module
    loader: Loader
    device: str = "cpu"

    @torch.inference_mode()
    def run(self) -> tuple[NDArray[np.float32], Timed]:
        """Every image once: probabilities (N, C) in the order of rows, and the time.

        Only a first run includes the start of workers.
        """
        self.network.eval()
        found: list[NDArray[np.float32]] = []
        seen: list[int] = []
        batches = self.loader.batches()
        started = stopped = time.perf_counter()
        for ready in batches:
            images = ready.images.to(self.device, non_blocking=True)
            found.append(self.network(images).cpu().numpy())
            seen += ready.rows
            stopped = time.perf_counter()
        check_rows(seen, self.task)
        return np.concatenate(found)[np.argsort(seen)], Timed(len(seen), stopped - started)

    def close(self) -> None:
        """End the loader's workers."""
        self.loader.close()


class RayClassifier:
    """The class that Ray's actor runs."""

    def __init__(self, network: nn.Module, preprocess: Preprocess, threads: int) -> None:
        torch.set_num_threads(threads)
        self._network = network.eval()
        self._preprocess = preprocess

    @torch.inference_mode()
    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Pixels (N, size, size, 3) to probabilities (N, C), and the time at the start."""
        began = time.time()
        pixels = torch.from_numpy(np.ascontiguousarray(batch["image"])).permute(0, 3, 1, 2)
        images = self._preprocess.normalize(pixels).contiguous()
        found = self._network(images).numpy()
        times = np.full(len(found), began)
        return {"path": batch["path"], "probabilities": found, "began": times}


class RayLoop:
    """Ray Data's documented batch inference: `read_images`, then `map_batches` with an actor.

    https://docs.ray.io/en/latest/data/examples/pytorch_resnet_batch_prediction.html and
    https://docs.ray.io/en/latest/data/working-with-images.html. The reading tasks decode and resize
    (PIL, bilinear); one actor normalizes and classifies. Ray gives an actor as many threads as it
    reserves cores; this one reserves all but one, which the reading tasks need, and may use all.

    Every execution starts the actor, which takes many times as long as the images. The clock
    excludes that: it starts when the actor gets its first images.
    """

    def __init__(self, task: Task, network: nn.Module) -> None:
        import ray.data

        self._task = task
        self._network = network
        self._rows = {file: row for row, file in enumerate(task.files)}
        os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # read by `init`
        ray.init(
            address="local",
            num_cpus=max(2, task.workers),
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
        )
        logging.getLogger("ray.data").setLevel(logging.ERROR)
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        # otherwise images would be read, off the clock, while the actor starts
        context.wait_for_min_actors_s = _SECONDS_FOR_AN_ACTOR

    def _dataset(self) -> Any:
        import ray.data

        task, size = self._task, self._task.preprocess.size
        images = ray.data.read_images(task.files, size=(size, size), mode="RGB", include_paths=True)
        return images.map_batches(
            RayClassifier,
            fn_constructor_args=(self._network, task.preprocess, task.workers),
            batch_size=task.batch,
            compute=ray.data.ActorPoolStrategy(size=1),
            num_cpus=max(1, task.workers - 1),
        )

    def run(self) -> tuple[NDArray[np.float32], Timed]:
        """One execution; rows are put in order by path, because Ray does not keep the order."""
        found, paths, began = [], [], []
        for batch in self._dataset().iter_batches(batch_size=self._task.batch):
            found.append(batch["probabilities"])
            paths += list(batch["path"])
            began.append(batch["began"].min())
        seconds = time.time() - min(began)
        rows = [self._rows[path] for path in paths]
        check_rows(rows, self._task)
        probabilities = np.concatenate(found)[np.argsort(rows)]
        return probabilities, Timed(len(rows), seconds)

    def close(self) -> None:
        """End Ray."""
        import ray

        ray.shutdown()


def usual_probabilities(task: Task, network: nn.Module) -> NDArray[np.float32]:
    """Probabilities (N, C) of the usual loop, in the order of rows."""
    with closing(EagerLoop(task, network, open_usual(task))) as loop:
        return loop.run()[0]


Loop: TypeAlias = EagerLoop | RayLoop
LOOPS: dict[str, Callable[[Task, nn.Module, str], Loop]] = {
    USUAL: lambda task, network, device: EagerLoop(task, network, open_usual(task), device),
    TIMM: lambda task, network, device: EagerLoop(task, network, TimmLoader(task), device),
    DALI: lambda task, network, device: EagerLoop(
        task, network, DaliLoader(task, device=device), device
    ),
    RAY: lambda task, network, _device: RayLoop(task, network),
}


def open_peers(
    task: Task, network: nn.Module, stack: ExitStack, *, names: Sequence[str], device: str = "cpu"
) -> Agreeing[Loop]:
    """Open the usual loop and others, and keep those whose probabilities agree with its.

    The network maps float32 images (N, 3, size, size) to probabilities (N, C); no loop uses
    vocscore's loaders. The stack ends their workers.
    """
    return open_agreeing(
        # in this order: worker processes are forked before Ray starts threads
        {name: partial(LOOPS[name], task, network, device) for name in (USUAL, *names)},
        stack,
        answers=lambda loop: loop.run()[0],
        difference=lambda found, truth: float(np.abs(found - truth).max()),
        most=LARGEST_DIFFERENCE if device == "cpu" else LARGEST_ON_GPU,
        unit="in probability",
    )
