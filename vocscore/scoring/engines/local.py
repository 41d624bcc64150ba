"""Units in this process: decode, score, prove."""

from __future__ import annotations

from collections import deque
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shards.errors import BadImage
from vocscore.scoring.engines import Advance, Finished, Stoppable
from vocscore.scoring.engines.ahead import Ahead
from vocscore.scoring.engines.tally import Tally
from vocscore.scoring.walls import measure_ceilings

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

    from shards.sample import ImageRef
    from vocscore.pipeline.batch import Batch, ImageLoader
    from vocscore.scoring.engines import Event
    from vocscore.scoring.engines.forward import Forward, Pending
    from vocscore.scoring.inputs.units import Contents, Unit
    from vocscore.scoring.walls import Ceilings

    _Opened = tuple[Unit, Contents, Ahead[Batch]]

# Fetched while the network works: the mark that ends a unit, and the first batch behind it, so
# that decoding goes on across the border.
_ITEMS_AHEAD = 2
# Of a unit, when the next one is begun: as many as the threads of a loader are ahead.
_BATCHES_LEFT = 4
# Told while the receiver commits a unit: some units, each with some batches.
_EVENTS_AHEAD = 16


class LocalEngine:
    """An `Engine` of one loader and one network.

    Args:
        loader: decodes; whoever opened it closes it.
        forward: runs the network.
        classes: columns of probabilities.
    """

    def __init__(self, loader: ImageLoader, forward: Forward, *, classes: int) -> None:
        """Keep what it works with."""
        self._loader = loader
        self._forward = forward
        self._classes = classes

    @property
    def loader(self) -> str:
        """What kind of loader decodes."""
        return type(self._loader).__name__

    def close(self) -> None:
        """Close the loader."""
        self._loader.close()

    def score(self, units: Iterator[Unit]) -> Generator[Event]:
        """Score the units in their order; see `Engine.score`.

        In a thread: the network goes on while the receiver writes what has come.
        """
        with closing(Ahead(self._events(units), depth=_EVENTS_AHEAD)) as events, _stopped(units):
            yield from events

    def _events(self, units: Iterator[Unit]) -> Generator[Event]:
        steps: deque[_Step] = deque()
        run: _Run | None = None
        with closing(Ahead(self._batches(units), depth=_ITEMS_AHEAD)) as items, _stopped(units):
            while True:
                # Results are waited for where there is nothing to set going meanwhile: whoever
                # hands out the units may wait to hear of these before it hands out another.
                if steps and (steps[0].is_there() or not items.ready()):
                    yield from self._settle(steps.popleft())
                    continue
                try:
                    item = next(items, None)
                except Exception:
                    for step in steps:  # the units before the one that fails are kept
                        yield from self._settle(step)
                    raise
                if item is None:
                    break
                unit, contents, batch = item
                run = run or _Run(unit, contents, classes=self._classes)
                steps.extend(self._begin(run, batch))
                if batch is None:
                    run = None
                elif batch.failures:
                    yield run.advance()
        for step in steps:
            yield from self._settle(step)

    def _begin(self, run: _Run, batch: Batch | None) -> Iterator[_Step]:
        """Set going what a batch, or the end of its unit, allows to."""
        for failure in batch.failures if batch else ():
            run.tally.fail(failure.row, BadImage(failure.reason, failure.detail))
        for pending in self._forward.flush() if batch is None else self._forward.feed(batch):
            yield _Step(run, pending)
        if batch is None:
            if run.contents.refusal is not None:
                run.tally.fail(0, run.contents.refusal)
            yield _Step(run, None)

    def _settle(self, step: _Step) -> Iterator[Event]:
        """Put into the tally what the network has answered, or end the unit."""
        run = step.run
        if step.pending is not None:
            run.tally.add(step.pending.rows, step.pending.fetch())
        yield run.advance()
        if step.pending is None:
            yield Finished(run.unit, run.contents, run.tally.finish(), self._forward.problems())

    def ceilings(self, images: Sequence[ImageRef]) -> Ceilings | None:
        """Measure this process's walls; see `Engine.ceilings`."""
        return measure_ceilings(images, loader=self._loader, model=self._forward.ceiling)

    def _batches(self, units: Iterator[Unit]) -> Generator[tuple[Unit, Contents, Batch | None]]:
        """Go through the units; None behind the last batch of each."""
        begun: deque[_Opened | Exception | None] = deque()  # ahead: one at most
        with closing(Ahead(_read(units), depth=1)) as read, _stopped(units), _closed(begun):
            while opened := begun.popleft() if begun else self._open_next(read):
                if isinstance(opened, Exception):
                    raise opened
                yield from self._of_unit(opened, read, begun)

    def _of_unit(
        self,
        opened: _Opened,
        read: Ahead[tuple[Unit, Contents]],
        begun: deque[_Opened | Exception | None],
    ) -> Generator[tuple[Unit, Contents, Batch | None]]:
        """Go through one unit, and begin the next one before it is through.

        Or threads and GPU would be idle between.
        """
        unit, contents, batches = opened
        left = len(contents.images)
        with closing(batches):
            for batch in batches:
                size = len(batch.rows) + len(batch.failures)
                left -= size
                if not begun and left <= _BATCHES_LEFT * size and read.ready():
                    begun.append(self._open_next(read))
                yield unit, contents, batch
        yield unit, contents, None

    def _open_next(self, read: Ahead[tuple[Unit, Contents]]) -> _Opened | Exception | None:
        """Begin to decode a unit; what cannot be read is to be raised behind the unit before it."""
        try:
            item = next(read, None)
            if item is None:
                return None
            unit, contents = item
            images = contents.images if contents.refusal is None else ()
            # In a thread of its own: a loader hands nothing to a GPU before its first batch is
            # asked for, and the GPU is to go on across the border.
            return unit, contents, Ahead(_made(self._loader, images), depth=1)
        except Exception as error:  # noqa: BLE001 - raised by the caller, at its place
            return error


@contextmanager
def _stopped(units: Iterator[Unit]) -> Iterator[None]:
    """Stop the units at the end; a thread that waits for one could not be closed."""
    try:
        yield
    finally:
        if isinstance(units, Stoppable):
            units.stop()


@contextmanager
def _closed(begun: deque[_Opened | Exception | None]) -> Iterator[None]:
    """Close at the end what was begun ahead and not gone through."""
    try:
        yield
    finally:
        for opened in begun:
            if isinstance(opened, tuple):
                opened[-1].close()


def _made(loader: ImageLoader, images: Sequence[ImageRef]) -> Generator[Batch]:
    if images:
        yield from loader.batches(images)


def _read(units: Iterator[Unit]) -> Generator[tuple[Unit, Contents]]:
    for unit in units:
        yield unit, unit.read()


class _Run:
    """A unit that is being scored."""

    def __init__(self, unit: Unit, contents: Contents, *, classes: int) -> None:
        """Expect every row of it."""
        self.unit = unit
        self.contents = contents
        self.tally = Tally([ref.name for ref in contents.images], classes=classes)

    def advance(self) -> Advance:
        """Tell how far it is."""
        unit, tally, images = self.unit, self.tally, len(self.contents.images)
        return Advance(unit.number, unit.weight, images, tally.done, tally.errors)


@dataclass(frozen=True, slots=True)
class _Step:
    """What is still to be done for a unit, in order.

    Attributes:
        run: the unit.
        pending: rows whose probabilities are under way; None at the end of the unit.
    """

    run: _Run
    pending: Pending | None

    def is_there(self) -> bool:
        """Whether it can be settled without waiting."""
        return self.pending is None or self.pending.fetched
