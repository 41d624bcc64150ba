"""Packs a split's images into shards: one shard is synced to disk while the next is written."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

from shards.manifest import Shard, shard_name
from shards.packing.journal import Journal, ShardRecord
from shards.packing.writer import ShardWriter
from shards.sample import Rejection

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from types import TracebackType

    from typing_extensions import Self

    from shards.packing.prepare import PreparedSample


class Commits:
    """Commits finished shards to disk, one at a time and in order, in a thread.

    On a slow disk, fsync of a shard takes as long as decoding hundreds of images; here only the
    next commit waits for it.

    Args:
        folder: the set.
        journal: where finished shards are recorded.
    """

    def __init__(self, folder: Path, journal: Journal) -> None:
        self._folder = folder
        self._journal = journal
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="commit")
        self._running: Future[None] | None = None

    def submit(self, shard: ShardWriter, record: ShardRecord) -> None:
        """Commit a sealed shard after the previous commit is done.

        Raises:
            OSError: the previous shard could not be committed.
        """
        self.wait()
        self._running = self._pool.submit(self._commit, shard, record)

    def wait(self) -> None:
        """Wait until everything submitted is on disk.

        Raises:
            OSError: it could not be committed.
        """
        running, self._running = self._running, None
        if running is not None:
            running.result()

    def _commit(self, shard: ShardWriter, record: ShardRecord) -> None:
        try:
            shard.commit(self._folder)
        except OSError:
            shard.discard()
            raise
        self._journal.append(record)

    def __enter__(self) -> Self:
        """Enter the context; there is nothing to open."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Let the running commit finish in any case; then report its failure, if any."""
        self._pool.shutdown()
        if error is None:
            self.wait()


class SplitPacker:
    """Divides a stream of images into shards of equal size, the last one possibly smaller.

    Attributes:
        shards: the finished shards, including those of earlier runs.
        rejected: the images left out, including those of earlier runs.
        next: index of the next candidate, from 0.
    """

    def __init__(
        self,
        split: str,
        journal: Journal,
        commits: Commits,
        *,
        classes: Sequence[str],
        shard_samples: int,
    ) -> None:
        """Resume after the shards of this split in the journal."""
        records = [record for record in journal.records if record.split == split]
        self.shards: list[Shard] = [record.shard for record in records]
        self.rejected = [bad for record in records for bad in record.rejected]
        self.next = records[-1].next if records else 0
        self._noted = len(self.rejected)
        self._serial = sum(shard.samples for shard in self.shards)
        self._split = split
        self._stage = journal.stage
        self._commits = commits
        self._classes = classes
        self._shard_samples = shard_samples
        self._open: ShardWriter | None = None

    def take(self, outcome: PreparedSample | Rejection) -> None:
        """Store the next image, or record why it is left out.

        Raises:
            OSError: it cannot be written.
        """
        self.next += 1
        if isinstance(outcome, Rejection):
            self.rejected.append(outcome)
            return
        if self._open is None:
            name = shard_name(self._split, len(self.shards))
            self._open = ShardWriter(self._stage, name, classes=self._classes)
        self._open.add(outcome, key=f"{self._split}-{self._serial:08d}")
        self._serial += 1
        if self._open.samples == self._shard_samples:
            self._close()

    def _close(self) -> None:
        """Finish the shard being written and submit it for commit."""
        if self._open is None:
            return
        shard = self._open.seal()
        record = ShardRecord(self._split, shard, self.next, tuple(self.rejected[self._noted :]))
        self._commits.submit(self._open, record)
        self._open = None
        self._noted = len(self.rejected)
        self.shards.append(shard)

    def __enter__(self) -> Self:
        """Enter the context; there is nothing to open."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Finish the last shard, or discard it if packing has failed.

        Raises:
            OSError: it or the previous shard cannot be written.
        """
        try:
            if error is None:
                self._close()
        finally:
            if self._open is not None:
                self._open.discard()
