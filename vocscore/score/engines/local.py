"""Units in this process: decode, score, prove."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from shards.errors import BadPicture
from vocscore.score.engines import Advance, Finished
from vocscore.score.engines.ahead import ahead
from vocscore.score.engines.tally import Tally
from vocscore.score.walls import measure_ceilings

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

    from shards.sample import PictureRef
    from vocscore.pipeline.batch import Batch, Maker
    from vocscore.score.engines import Event
    from vocscore.score.engines.forward import Forward
    from vocscore.score.inputs.units import Contents, Unit
    from vocscore.score.walls import Ceilings

# Fetched while the network works: the mark that ends a unit, and the first batch behind it, so
# that decoding goes on across the border.
_ITEMS_AHEAD = 2


class LocalEngine:
    """An `Engine` of one maker and one network.

    Args:
        maker: decodes; whoever opened it closes it.
        forward: runs the network.
        classes: columns of probabilities.
    """

    def __init__(self, maker: Maker, forward: Forward, *, classes: int) -> None:
        """Keep what it works with."""
        self._maker = maker
        self._forward = forward
        self._classes = classes

    @property
    def maker(self) -> str:
        """What kind of maker decodes."""
        return type(self._maker).__name__

    def close(self) -> None:
        """Close the maker."""
        self._maker.close()

    def score(self, units: Iterator[Unit]) -> Generator[Event]:
        """Score the units in their order; see `Engine.score`."""
        tally: Tally | None = None
        with closing(ahead(self._batches(units), depth=_ITEMS_AHEAD)) as items:
            for unit, contents, batch in items:
                tally = tally or Tally(
                    [ref.name for ref in contents.pictures], classes=self._classes
                )
                self._settle(contents, batch, tally)
                pictures = len(contents.pictures)
                yield Advance(unit.number, unit.weight, pictures, tally.done, tally.errors)
                if batch is None:
                    yield Finished(unit, contents, tally.finish(), self._forward.problems())
                    tally = None

    def ceilings(self, pictures: Sequence[PictureRef]) -> Ceilings | None:
        """Measure this process's walls; see `Engine.ceilings`."""
        return measure_ceilings(pictures, maker=self._maker, model=self._forward.ceiling)

    def _batches(self, units: Iterator[Unit]) -> Generator[tuple[Unit, Contents, Batch | None]]:
        """Go through the units; None behind the last batch of each."""
        for unit in units:
            contents = unit.read()
            if contents.refusal is None:
                for batch in self._maker.batches(contents.pictures):
                    yield unit, contents, batch
            yield unit, contents, None

    def _settle(self, contents: Contents, batch: Batch | None, tally: Tally) -> None:
        """Put into the tally what a batch, or the end of the unit, has settled."""
        scored = self._forward.flush() if batch is None else self._forward.feed(batch)
        for rows, probabilities in scored:
            tally.add(rows, probabilities)
        for failure in batch.failures if batch else ():
            tally.fail(failure.row, BadPicture(failure.reason, failure.detail))
        if batch is None and contents.refusal is not None:
            tally.fail(0, contents.refusal)
