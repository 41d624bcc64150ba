"""vocscore's own makers, as contestants."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.peers.task import Loader, Ready
from vocscore.config.compute import MAX_PIXELS
from vocscore.pipeline.makers import open_maker

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.peers.task import Task
    from vocscore.pipeline.augment import Views


class MakerLoader(Loader):
    """A maker, and the normalisation that runs where the network runs."""

    def __init__(self, task: Task, name: str, *, views: Views | None = None) -> None:
        """Open the maker."""
        self._task = task
        self._views = views
        self._maker = open_maker(
            name,
            task.preprocess,
            batch_size=task.batch,
            device="cpu",
            threads=task.workers,
            max_pixels=MAX_PIXELS,
        )

    def batches(self) -> Iterator[Ready]:
        """As the maker gives them, in order."""
        for batch in self._maker.batches(self._task.pictures, views=self._views):
            yield Ready(self._task.preprocess.normalise(batch.images), batch.rows.tolist())

    def close(self) -> None:
        """End the threads."""
        self._maker.close()


def open_host(task: Task) -> Loader:
    """The host maker."""
    return MakerLoader(task, "host")


def open_dali_maker(task: Task) -> Loader:
    """The DALI maker, on the CPU."""
    return MakerLoader(task, "dali")
