"""webdataset with its own reader, decoder and loader, over tars of the same images.

The tars are written before the clock runs.
https://webdataset.github.io/webdataset/ (decode, to_tuple, batched; WebLoader)
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.peers.dataloader import end_workers, usual_transform
from bench.peers.task import Loader, Ready

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.peers.task import Task

SHARDS_A_WORKER = 2
"""Whole shards go to workers: as many for each."""


class WebDatasetLoader(Loader):
    """A WebLoader with a worker a core."""

    def __init__(self, task: Task) -> None:
        """Write the tars; workers start at the first batch."""
        import webdataset

        transform = usual_transform(task.preprocess)
        dataset = (
            webdataset.WebDataset(write_tars(task), shardshuffle=False)
            .decode("pil")
            .to_tuple("__key__", "jpg;png")
            .map_tuple(int, transform)
            .batched(task.batch)
        )
        self._loader: Any = webdataset.WebLoader(
            dataset, batch_size=None, num_workers=task.workers, persistent_workers=True
        )

    def batches(self) -> Iterator[Ready]:
        """As the workers give them, in turn: not in the order of rows."""
        for rows, images in self._loader:
            yield Ready(images, [int(row) for row in rows])

    def close(self) -> None:
        """End the workers."""
        end_workers(self._loader.pipeline[0])


def write_tars(task: Task) -> list[str]:
    """The images under their row numbers, in equal shards."""
    from webdataset import TarWriter

    folder = task.scratch / "webdataset"
    folder.mkdir()
    number = min(SHARDS_A_WORKER * task.workers, len(task.files))
    names = [str(folder / f"{shard:06d}.tar") for shard in range(number)]
    for shard, name in enumerate(names):
        with TarWriter(name) as tar:
            for row in range(shard, len(task.files), number):
                file = Path(task.files[row])
                tar.write({"__key__": f"{row:06d}", file.suffix[1:]: file.read_bytes()})
    return names


def open_webdataset(task: Task) -> Loader:
    """Webdataset, its own decoders."""
    return WebDatasetLoader(task)
