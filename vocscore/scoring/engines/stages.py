"""The stages of scoring in one process; `local` starts and stops them.

    stage    yields                        what it does
    read     ReadUnit                      finds the images of a unit, by name
    decode   DecodedBatch, DecodedUnit     decodes them with the loader
    batch    batches of one shape          groups rows (`batching`)
    infer    SubmittedRows, SubmittedUnit  submits them, a few batches at a time (`inference`)
    settle   Advance, Finished             waits for probabilities, finishes units

`read` has one thread, `decode` has one plus one for each unit that it has begun, the other three
share one. Units keep their order in every stage. An error is raised after everything that was
yielded before it, so the units before the one that fails are kept.
"""

from __future__ import annotations

from collections import deque
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from vocscore.pipeline.fetch import fetched
from vocscore.scoring.engines import Advance, Finished
from vocscore.scoring.engines.prefetch import Prefetcher
from vocscore.scoring.engines.unit_results import UnitResults

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from vocscore.pipeline.batch import Batch, ImageLoader
    from vocscore.scoring.engines import Event
    from vocscore.scoring.engines.batching import FixedBatcher
    from vocscore.scoring.engines.inference import Pending
    from vocscore.scoring.inputs.units import Contents, Unit

# Remaining batches of a unit when the next unit is begun: as many as a loader prefetches.
_BATCHES_LEFT = 4


# read


@dataclass(frozen=True, slots=True)
class ReadUnit:
    """A unit whose images are listed; none has been read.

    Attributes:
        unit: the unit.
        contents: its images.
    """

    unit: Unit
    contents: Contents


def read(units: Iterator[Unit]) -> Generator[ReadUnit]:
    """List the images of each unit."""
    for unit in units:
        yield ReadUnit(unit, unit.read())


# decode


class UnitInProgress:
    """A unit that is being scored, with its results so far.

    Attributes:
        unit: the unit.
        contents: its images.
        results: changed only by the thread of batch, infer and settle.
    """

    def __init__(self, read_unit: ReadUnit, *, classes: int, features: int = 0) -> None:
        self.unit = read_unit.unit
        self.contents = read_unit.contents
        names = [ref.name for ref in self.contents.images]
        self.results = UnitResults(names, classes=classes, features=features)

    def advance(self) -> Advance:
        """Return its progress."""
        unit, results = self.unit, self.results
        images = len(self.contents.images)
        return Advance(unit.number, unit.weight, images, results.done, results.errors)


@dataclass(frozen=True, slots=True)
class DecodedBatch:
    """Some rows of a unit, decoded or failed.

    Attributes:
        unit: the unit they belong to.
        batch: the batch, with row numbers within the unit.
    """

    unit: UnitInProgress
    batch: Batch


@dataclass(frozen=True, slots=True)
class DecodedUnit:
    """The end of a unit: all of its batches have been yielded.

    Attributes:
        unit: the unit.
    """

    unit: UnitInProgress


@dataclass(frozen=True, slots=True)
class _Begun:
    """A unit whose images are being decoded.

    Attributes:
        unit: the unit.
        batches: its batches.
    """

    unit: UnitInProgress
    batches: Prefetcher[Batch]


class Decoder:
    """The stage `decode`. Close it after the thread that runs it has ended.

    Args:
        loader: decodes images; it is not closed.
        classes: number of columns of probabilities.
        features: number of columns of features after them.
    """

    def __init__(self, loader: ImageLoader, *, classes: int, features: int = 0) -> None:
        self._loader = loader
        self._classes = classes
        self._features = features
        self._begun: deque[_Begun] = deque()  # the current unit, and at most the next one

    def run(self, units: Prefetcher[ReadUnit]) -> Generator[DecodedBatch | DecodedUnit]:
        """Decode every unit."""
        for unit in units:
            self._begin(unit)
            while self._begun:
                yield from self._hand_on(self._begun[0], units)

    def close(self) -> None:
        """Stop decoding: close the batches of every unit that is begun and not finished."""
        with ExitStack() as begun:  # all of them, also if closing one of them raises
            for one in reversed(self._begun):
                begun.callback(one.batches.close)

    def _hand_on(
        self, current: _Begun, units: Prefetcher[ReadUnit]
    ) -> Generator[DecodedBatch | DecodedUnit]:
        """Yield the batches of one unit, and begin the next unit before this one is finished.

        Otherwise threads and GPU would be idle between two units. If the next unit cannot be read,
        it is not taken yet, so that its error is raised after this unit.
        """
        left = len(current.unit.contents.images)
        for batch in current.batches:
            size = len(batch.rows) + len(batch.failures)
            left -= size
            if len(self._begun) == 1 and left <= _BATCHES_LEFT * size and units.has_item():
                self._begin(next(units))
            yield DecodedBatch(current.unit, batch)
        current.batches.close()
        self._begun.popleft()
        yield DecodedUnit(current.unit)

    def _begin(self, read_unit: ReadUnit) -> None:
        """Begin to decode a unit; a unit that was refused as a whole has nothing to decode."""
        unit = UnitInProgress(read_unit, classes=self._classes, features=self._features)
        # In a separate thread: a loader sends nothing to a GPU before its first batch is requested,
        # and the GPU must not be idle between two units.
        self._begun.append(_Begun(unit, Prefetcher(_batches(self._loader, unit.contents), depth=1)))


def _batches(loader: ImageLoader, contents: Contents) -> Generator[Batch]:
    images, copy = contents.images, contents.copy
    try:
        if images and contents.refusal is None:
            if copy is not None:
                images = [replace(ref, file=copy.file) for ref in images]
            with fetched(images, uses=getattr(loader, "passes", 1)) as reachable:
                yield from loader.batches(reachable)
    finally:
        if copy is not None:
            copy.remove()


# batch, infer, settle: they take turns in one thread


@dataclass(frozen=True, slots=True)
class SubmittedRows:
    """Rows that were submitted to the network.

    Attributes:
        unit: the unit they belong to.
        pending: waits for their probabilities.
    """

    unit: UnitInProgress
    pending: Pending

    @property
    def ready(self) -> bool:
        """Whether the probabilities are available without waiting."""
        return self.pending.fetched


@dataclass(frozen=True, slots=True)
class SubmittedUnit:
    """The end of a unit: all of its rows have been submitted.

    Attributes:
        unit: the unit.
    """

    unit: UnitInProgress

    @property
    def ready(self) -> bool:
        """Always true: there is nothing to wait for."""
        return True


def submit(
    item: DecodedBatch | DecodedUnit, batcher: FixedBatcher
) -> Iterator[SubmittedRows | SubmittedUnit]:
    """Stages `batch` and `infer`: submit the groups that an item completes.

    Failed rows are recorded without running the network.
    """
    unit = item.unit
    if isinstance(item, DecodedBatch):
        for failure in item.batch.failures:
            unit.results.fail(failure.row, failure.fault)
        for pending in batcher.feed(item.batch):
            yield SubmittedRows(unit, pending)
        return
    for pending in batcher.flush():
        yield SubmittedRows(unit, pending)
    if unit.contents.refusal is not None:
        unit.results.fail(0, unit.contents.refusal)
    yield SubmittedUnit(unit)


def settle(item: SubmittedRows | SubmittedUnit, batcher: FixedBatcher) -> Iterator[Event]:
    """Stage `settle`: wait for the probabilities of some rows, or finish the unit."""
    unit = item.unit
    if isinstance(item, SubmittedRows):
        unit.results.add(item.pending.rows, item.pending.fetch())
        yield unit.advance()
        return
    yield unit.advance()
    yield Finished(unit.unit, unit.contents, unit.results.finish(), batcher.problems())


def infer_and_settle(
    decoded: Prefetcher[DecodedBatch | DecodedUnit], batcher: FixedBatcher
) -> Generator[Event]:
    """Alternate between submitting and settling.

    Results are waited for only when nothing can be submitted. They must be then, even if more will
    come: the next unit may not be sent before this one is finished.
    """
    submitted: deque[SubmittedRows | SubmittedUnit] = deque()
    while True:
        if submitted and (submitted[0].ready or not decoded.ready()):
            yield from settle(submitted.popleft(), batcher)
            continue
        try:
            item = next(decoded, None)
        except Exception:
            for waiting in submitted:  # the units before the one that fails are kept
                yield from settle(waiting, batcher)
            raise
        if item is None:
            break
        submitted.extend(submit(item, batcher))
        if isinstance(item, DecodedBatch) and item.batch.failures:
            yield item.unit.advance()
    for waiting in submitted:
        yield from settle(waiting, batcher)
