"""vocscore's own loaders, as contestants."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.peers.task import Loader, Ready
from vocscore.config import ScoreConfig
from vocscore.pipeline.loaders import open_loader

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.peers.task import Task
    from vocscore.pipeline.augment import Views


class MakerLoader(Loader):
    """A loader, and the normalization that runs where the network runs."""

    def __init__(self, task: Task, name: str, *, views: Views | None = None) -> None:
        """Open the loader."""
        self._task = task
        self._views = views
        self._loader = open_loader(
            name,
            task.preprocess,
            batch_size=task.batch,
            device="cpu",
            threads=task.workers,
            max_pixels=ScoreConfig.max_pixels,
        )

    def batches(self) -> Iterator[Ready]:
        """As the loader gives them, in order."""
        for batch in self._loader.batches(self._task.images, views=self._views):
            yield Ready(self._task.preprocess.normalize(batch.images), batch.rows.tolist())

    def close(self) -> None:
        """End the threads."""
        self._loader.close()


def open_host(task: Task) -> Loader:
    """The host loader."""
    return MakerLoader(task, "host")


def open_dali_loader(task: Task) -> Loader:
    """The DALI loader, on the CPU."""
    return MakerLoader(task, "dali")
