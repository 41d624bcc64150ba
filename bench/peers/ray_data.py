"""Ray Data's documented batch inference: `read_images`, then `map_batches` with an actor.

https://docs.ray.io/en/latest/data/examples/pytorch_resnet_batch_prediction.html and
https://docs.ray.io/en/latest/data/working-with-images.html. Images are decoded and resized by the
reading tasks (`read_images(size=..., mode=...)`: PIL, bilinear), normalized and classified by one
actor. Ray gives an actor as many threads as it reserves cores; this one reserves all but one, which
the reading tasks need, and may use all.

Ray starts its actor anew with every execution, which takes many times as long as these images
take. That is not in its clock: it runs from the moment when the actor is given its first images.
"""

from __future__ import annotations

import logging
import os
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from bench.peers.agreement import check_rows
from bench.timing import Timed

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import nn

    from bench.peers.task import Task
    from vocscore.pipeline.preprocess import Preprocess

_SECONDS_FOR_AN_ACTOR = 300


class Classifier:
    """What the actor runs."""

    def __init__(self, network: nn.Module, preprocess: Preprocess, threads: int) -> None:
        """Take the network; it has traveled through Ray's object store."""
        torch.set_num_threads(threads)
        self._network = network.eval()
        self._preprocess = preprocess

    @torch.inference_mode()
    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Pixels (N, size, size, 3) to probabilities (N, C), and when it began."""
        began = time.time()
        pixels = torch.from_numpy(np.ascontiguousarray(batch["image"])).permute(0, 3, 1, 2)
        images = self._preprocess.normalize(pixels).contiguous()
        probabilities = self._network(images).numpy()
        count = len(probabilities)
        return {
            "path": batch["path"],
            "probabilities": probabilities,
            "began": np.full(count, began),
        }


class RayLoop:
    """A Ray of one machine, kept between turns; it is idle then."""

    def __init__(self, task: Task, network: nn.Module) -> None:
        """Start Ray on this machine's cores, silently."""
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
        # or images would be read, off the clock, while the actor starts
        context.wait_for_min_actors_s = _SECONDS_FOR_AN_ACTOR

    def _dataset(self) -> Any:
        import ray.data

        task = self._task
        size = task.preprocess.size
        images = ray.data.read_images(task.files, size=(size, size), mode="RGB", include_paths=True)
        return images.map_batches(
            Classifier,
            fn_constructor_args=(self._network, task.preprocess, task.workers),
            batch_size=task.batch,
            compute=ray.data.ActorPoolStrategy(size=1),
            num_cpus=max(1, task.workers - 1),
        )

    def run(self) -> tuple[NDArray[np.float32], Timed]:
        """One execution; rows are put in order by path, for Ray does not keep it."""
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
