"""The stages of scoring in one process. Each is readable alone; `local` starts and stops them.

    stage    hands on                      what it does
    read     ReadUnit                      finds the images of a unit, by name
    decode   DecodedBatch, DecodedUnit     decodes them with the loader
    batch    batches of one shape          groups rows (`batching`)
    infer    SubmittedRows, SubmittedUnit  has them scored, a few batches at a time (`inference`)
    settle   Advance, Finished             waits for probabilities, finishes units

`read` has a thread, `decode` has one and one more for each unit that it has begun, the other three
share one. Units keep their order in every stage. An error is raised in its place, behind what was
handed on before it: the units before the one that fails are kept.
"""

from __future__ import annotations

from collections import deque
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vocscore.scoring.engines import Advance, Finished
from vocscore.scoring.engines.prefetch import Prefetcher
from vocscore.scoring.engines.unit_results import UnitResults

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

    from shards.sample import ImageRef
    from vocscore.pipeline.batch import Batch, ImageLoader
    from vocscore.scoring.engines import Event
    from vocscore.scoring.engines.batching import FixedBatcher
    from vocscore.scoring.engines.inference import Pending
    from vocscore.scoring.inputs.units import Contents, Unit

# Batches of a unit still to come when the next unit is begun: as many as the threads of a loader
# work ahead.
_BATCHES_LEFT = 4


# read


@dataclass(frozen=True, slots=True)
class ReadUnit:
    """A unit of which is known what is in it; no image has been read.

    Attributes:
        unit: which.
        contents: what is in it.
    """

    unit: Unit
    contents: Contents


def read(units: Iterator[Unit]) -> Generator[ReadUnit]:
    """Find out what is in each unit."""
    for unit in units:
        yield ReadUnit(unit, unit.read())


# decode


class UnitInProgress:
    """A unit that is being scored, with the results that have come.

    Attributes:
        unit: which.
        contents: what is in it.
        results: changed only by the thread of batch, infer and settle.
    """

    def __init__(self, read_unit: ReadUnit, *, classes: int) -> None:
        """Expect every row of it."""
        self.unit = read_unit.unit
        self.contents = read_unit.contents
        names = [ref.name for ref in self.contents.images]
        self.results = UnitResults(names, classes=classes)

    def advance(self) -> Advance:
        """Say how far it is."""
        unit, results = self.unit, self.results
        images = len(self.contents.images)
        return Advance(unit.number, unit.weight, images, results.done, results.errors)


@dataclass(frozen=True, slots=True)
class DecodedBatch:
    """Some rows of a unit, decoded or failed.

    Attributes:
        unit: that they belong to.
        batch: row numbers count within the unit.
    """

    unit: UnitInProgress
    batch: Batch


@dataclass(frozen=True, slots=True)
class DecodedUnit:
    """The end of a unit: all of its batches have been handed on.

    Attributes:
        unit: which.
    """

    unit: UnitInProgress


@dataclass(frozen=True, slots=True)
class _Begun:
    """A unit whose images are being decoded.

    Attributes:
        unit: which.
        batches: of it, as they come.
    """

    unit: UnitInProgress
    batches: Prefetcher[Batch]


class Decoder:
    """The stage `decode`. Close it after the thread that runs it has ended.

    Args:
        loader: decodes; it stays open.
        classes: columns of probabilities.
    """

    def __init__(self, loader: ImageLoader, *, classes: int) -> None:
        """Begin no unit yet."""
        self._loader = loader
        self._classes = classes
        self._begun: deque[_Begun] = deque()  # the unit being handed on, and at most the next one

    def run(self, units: Prefetcher[ReadUnit]) -> Generator[DecodedBatch | DecodedUnit]:
        """Decode every unit."""
        for unit in units:
            self._begin(unit)
            while self._begun:
                yield from self._hand_on(self._begun[0], units)

    def close(self) -> None:
        """Stop decoding: close the batches of every unit begun and not handed on."""
        with ExitStack() as begun:  # all of them, also where closing one of them raises
            for one in reversed(self._begun):
                begun.callback(one.batches.close)

    def _hand_on(
        self, current: _Begun, units: Prefetcher[ReadUnit]
    ) -> Generator[DecodedBatch | DecodedUnit]:
        """Hand on one unit, and begin the next one before this one is through.

        Otherwise threads and GPU would be idle between two units. A next unit that cannot be read
        is left where it is, to raise its error behind this one.
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
        """Begin to decode a unit; of one that was refused as a whole there is nothing to decode."""
        unit = UnitInProgress(read_unit, classes=self._classes)
        images = unit.contents.images if unit.contents.refusal is None else ()
        # In a thread of its own: a loader hands nothing to a GPU before its first batch is asked
        # for, and the GPU has to go on across the border between two units.
        self._begun.append(_Begun(unit, Prefetcher(_batches(self._loader, images), depth=1)))


def _batches(loader: ImageLoader, images: Sequence[ImageRef]) -> Generator[Batch]:
    if images:
        yield from loader.batches(images)


# batch, infer, settle: they take turns in one thread


@dataclass(frozen=True, slots=True)
class SubmittedRows:
    """Rows that the network is working on.

    Attributes:
        unit: that they belong to.
        pending: waits for their probabilities.
    """

    unit: UnitInProgress
    pending: Pending

    @property
    def ready(self) -> bool:
        """Whether the probabilities are there without waiting."""
        return self.pending.fetched


@dataclass(frozen=True, slots=True)
class SubmittedUnit:
    """The end of a unit: all of its rows have been submitted before.

    Attributes:
        unit: which.
    """

    unit: UnitInProgress

    @property
    def ready(self) -> bool:
        """There is nothing to wait for."""
        return True


def submit(
    item: DecodedBatch | DecodedUnit, batcher: FixedBatcher
) -> Iterator[SubmittedRows | SubmittedUnit]:
    """Stages `batch` and `infer`: submit what an item completes; failed rows need no network."""
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
    """Take turns between submitting and settling.

    Results are waited for only where there is nothing to submit meanwhile. Then they are, even
    where more could be submitted later: the next unit may be held back until this one comes out.
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
