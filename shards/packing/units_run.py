"""Packs with several workers: units to check, then shards to write, committed by one process.

The shards follow from the verdicts on the images (`borders`), and their records in the journal are
those of a run without workers, in the same order. So either kind of run continues the other's.
A shard is written as soon as the images before its end are checked, while these are in the page
cache.
"""

from __future__ import annotations

from collections import deque
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias

from shards.packing.borders import Borders, Span
from shards.packing.journal import CHECKED, ShardRecord
from shards.packing.units import CHECK_IMAGES, Checked, CheckUnit, Result, ShardUnit, Unit, Written
from shards.packing.verdicts import Verdicts
from shards.packing.writer import place

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
    from pathlib import Path

    from typing_extensions import Self

    from shards.manifest import Shard
    from shards.packing.journal import Journal
    from shards.packing.plan import Plan
    from shards.packing.prepare import Candidate
    from shards.packing.units import Workshop
    from shards.sample import Rejection

CHECKING, WRITING = "checking", "writing"
"""The stages of a run."""


class Pool(Protocol):
    """Some workers."""

    def run(self, units: Iterator[Unit]) -> Generator[Result]:
        """Do every unit once, in any order; more units may follow when results were taken."""


OpenPool: TypeAlias = "Callable[[Workshop], AbstractContextManager[Pool]]"


@dataclass
class _Open:
    """A shard that is not committed.

    Attributes:
        number: of its unit.
        span: its images.
        written: what its worker reported; None before.
    """

    number: int
    span: Span
    written: Written | None = None


class UnitsRun:
    """Packs the rest of a set; an iterator of the units to do.

    Args:
        out: the set.
        journal: records finished shards.
        plan: what is packed.
        candidates: of each split, in order.
        shard_samples: images per shard.
        progress: called with the images done, the total, and those rejected so far.
        stage: called with the name of each stage.

    Attributes:
        shards: of each split, those that are finished.
    """

    def __init__(
        self,
        out: Path,
        journal: Journal,
        plan: Plan,
        candidates: Mapping[str, Sequence[Candidate]],
        *,
        shard_samples: int,
        progress: Callable[[int, int, int], None] | None,
        stage: Callable[[str], None] | None,
    ) -> None:
        """Find out what is left to do."""
        self._out = out
        self._journal = journal
        self._progress = progress
        self._stage = stage or (lambda _name: None)
        self._verdicts = Verdicts(journal.stage / CHECKED, plan)
        self.clean()
        self._units = list(_check_units(candidates))
        self.shards: dict[str, list[Shard]] = {}
        self._borders: dict[str, Borders] = {}
        for split, those in candidates.items():
            records = [record for record in journal.records if record.split == split]
            self.shards[split] = [record.shard for record in records]
            self._borders[split] = Borders(
                split, those, shard_samples=shard_samples, records=records
            )
        self._committed = {split: borders.next for split, borders in self._borders.items()}
        self._total = sum(map(len, candidates.values()))
        self._unchecked = deque(unit for unit in self._units if self._is_needed(unit))
        self._done = self._total - sum(len(unit.candidates) for unit in self._unchecked)
        self._cut = 0  # units whose verdicts the borders have
        self._rejected = sum(  # in other units
            self._verdicts.rejected[unit.number]
            for unit in self._units
            if unit.number in self._verdicts and self._is_beyond(unit)
        )
        self._next_number = len(self._units)
        self._ready: deque[_Open] = deque()
        self._open: deque[_Open] = deque()
        self._checking = bool(self._unchecked)

    @property
    def left(self) -> bool:
        """Whether anything is left to do."""
        return bool(self._unchecked) or self._fill()

    @property
    def packed(self) -> dict[str, tuple[list[Shard], list[Rejection]]]:
        """The finished shards of each split, and the images left out of it."""
        return {split: (self.shards[split], b.rejected) for split, b in self._borders.items()}

    def run(self, pool: Pool) -> None:
        """Check and write everything.

        Raises:
            OSError: the set cannot be written.
            PackError: images have changed.
        """
        self._stage(CHECKING if self._checking else WRITING)
        self._show()
        while self.left:
            with closing(pool.run(self)) as results:
                for result in results:
                    self._take(result)

    def clean(self) -> None:
        """Remove what workers wrote and nobody will use: no worker may be at work."""
        self._journal.remove_of_workers(kept=self._verdicts.made.values())

    def __iter__(self) -> Self:
        """Return itself: the units to do."""
        return self

    def __next__(self) -> Unit:
        """The next unit: a shard if its images are known, else images to check."""
        if self._fill():
            shard = self._ready.popleft()
            return ShardUnit(shard.number, shard.span)
        if self._unchecked:
            return self._unchecked.popleft()
        raise StopIteration  # for now: the units that are being checked lead to others

    def _take(self, result: Result) -> None:
        """Record what a worker has done."""
        if isinstance(result, Checked):
            self._verdicts.add(result.number, result.verdicts)
            self._rejected += self._verdicts.rejected[result.number]
            self._done += len(result.verdicts)
            self._show()
            if self._done == self._total:
                self._stage(WRITING)
                self._checking = False
        else:
            for shard in self._open:
                if shard.number == result.number:
                    shard.written = result
            self._commit()
        self._show()

    def _is_needed(self, unit: CheckUnit) -> bool:
        """Whether the images have to be checked: not in a finished shard, and not known."""
        return self._is_beyond(unit) and unit.number not in self._verdicts

    def _is_beyond(self, unit: CheckUnit) -> bool:
        """Whether the borders have not passed all of these images."""
        return unit.start + len(unit.candidates) > self._borders[unit.split].next

    def _fill(self) -> bool:
        """Cut shards until one is ready to be written; False if verdicts are missing."""
        while not self._ready and self._cut < len(self._units):
            unit = self._units[self._cut]
            borders = self._borders[unit.split]
            if self._is_beyond(unit):
                if unit.number not in self._verdicts:
                    return False
                self._rejected -= self._verdicts.rejected[unit.number]
                self._add(borders.take(unit.start, self._verdicts.read(unit.number)))
            self._cut += 1
            if self._cut == len(self._units) or self._units[self._cut].split != unit.split:
                self._add(borders.end())
        return bool(self._ready)

    def _add(self, spans: Iterator[Span]) -> None:
        for span in spans:
            shard = _Open(self._next_number, span)
            self._next_number += 1
            self._ready.append(shard)
            self._open.append(shard)

    def _commit(self) -> None:
        """Give the written shards their names, in order."""
        while self._open and (written := self._open[0].written) is not None:
            span = self._open.popleft().span
            folder = self._journal.stage / written.folder
            place(folder, span.name, self._out)
            folder.rmdir()
            record = ShardRecord(span.split, written.shard, span.next, span.rejected)
            self._journal.append(record)
            self.shards[span.split].append(written.shard)
            self._committed[span.split] = span.next
            self._forget(span.split)

    def _forget(self, split: str) -> None:
        """Remove bytes made of images that are all in finished shards."""
        for number, name in list(self._verdicts.made.items()):
            unit = self._units[number]
            end = unit.start + len(unit.candidates)
            if unit.split == split and end <= self._committed[split]:
                (self._journal.stage / name).unlink(missing_ok=True)
                del self._verdicts.made[number]

    def _show(self) -> None:
        if self._progress is None:
            return
        rejected = sum(len(b.rejected) for b in self._borders.values()) + self._rejected
        done = self._done if self._checking else sum(self._committed.values())
        self._progress(done, self._total, rejected)


def _check_units(candidates: Mapping[str, Sequence[Candidate]]) -> Iterator[CheckUnit]:
    """All images in units, known by number: the same in every run."""
    number = 0
    for split, those in candidates.items():
        for start in range(0, len(those), CHECK_IMAGES):
            yield CheckUnit(number, split, start, those[start : start + CHECK_IMAGES])
            number += 1
