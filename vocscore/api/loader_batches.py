"""The rows of each epoch of a loader, batch by batch, for every rank."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from vocscore.errors import LoaderError
from vocscore.ranks import Ranks
from vocscore.training.trainer import epoch_order, share

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchPlan:
    """How rows 0 to `rows` - 1 are cut into batches.

    Every step takes the next batch_size * world_size rows of the epoch's order, and each rank a
    contiguous part of them: together, the ranks see the batches of one process with a larger batch
    size. Every row is visited by exactly one rank, and all ranks have equally many batches (with
    batch_size 1, a rank may have one less).

    Attributes:
        rows: how many there are, at least `world_size`.
        batch_size: rows per batch and rank, at least 1.
        shuffle: whether each epoch has its own order.
        seed: of that order, not below 0.
        drop_last: leave out the rows that do not fill a batch of every rank.
        rank: from 0.
        world_size: how many ranks share the rows.
    """

    rows: int
    batch_size: int
    shuffle: bool = False
    seed: int = 0
    drop_last: bool = False
    rank: int = 0
    world_size: int = 1

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            LoaderError: a value is out of its range.
        """
        if self.batch_size < 1:
            raise LoaderError(f"batch_size must be at least 1, got {self.batch_size}")
        if self.seed < 0:
            raise LoaderError(f"seed must not be below 0, got {self.seed}")
        if not 0 <= self.rank < self.world_size:
            raise LoaderError(
                f"rank must be 0 to world_size - 1, got {self.rank} of world_size {self.world_size}"
            )
        if self.rows < self.world_size:
            raise LoaderError(
                f"world_size is {self.world_size}, but there are only {self.rows} images"
            )

    def order(self, epoch: int) -> NDArray[np.int64]:
        """All rows in the order of an epoch, the same on every machine; int64, shape (rows,)."""
        if not self.shuffle:
            return np.arange(self.rows)
        return epoch_order(self.rows, seed=self.seed, epoch=epoch)

    def batches(self, epoch: int) -> list[NDArray[np.int64]]:
        """The rows of each of this rank's batches, none of them empty."""
        step = self.batch_size * self.world_size
        end = self.rows - self.rows % step if self.drop_last else self.rows
        ranks = Ranks(rank=self.rank, size=self.world_size)
        order = self.order(epoch)[:end]
        own = [share(order[at : at + step], ranks) for at in range(0, end, step)]
        if own and not len(own[-1]):
            last = own.pop()
            if (
                own and len(own[-1]) > 1
            ):  # gives the ranks that have a row left equally many batches
                own[-1], last = np.split(own[-1], [-1])
                own.append(last)
        return own


def joined_batches(
    batches: list[NDArray[np.int64]], *, batch_size: int
) -> Iterator[NDArray[np.int64]]:
    """Join batches so that cutting at every `batch_size` rows gives them back."""
    begin = 0
    for end, rows in enumerate(batches, start=1):
        if len(rows) < batch_size or end == len(batches):
            yield np.concatenate(batches[begin:end])
            begin = end
