"""Scores units in this process: starts the stages, yields their events, stops them."""

from __future__ import annotations

from contextlib import ExitStack, closing
from typing import TYPE_CHECKING

from vocscore.scoring.ceilings import measure_ceilings
from vocscore.scoring.engines import Stoppable
from vocscore.scoring.engines.prefetch import Prefetcher
from vocscore.scoring.engines.stages import Decoder, infer_and_settle, read

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

    from shards.sample import ImageRef
    from vocscore.pipeline.batch import ImageLoader
    from vocscore.scoring.ceilings import Ceilings
    from vocscore.scoring.engines import Event
    from vocscore.scoring.engines.batching import FixedBatcher
    from vocscore.scoring.inputs.units import Unit

# Read while a unit is decoded: the next unit.
_UNITS_AHEAD = 1
# Decoded while the network runs: the end of a unit and the first batch of the next one, so that
# decoding does not pause between two units.
_ITEMS_AHEAD = 2
# Scored while the caller commits a unit: some units of some batches each.
_EVENTS_AHEAD = 16


class LocalEngine:
    """An `Engine` with one loader and one network.

    Args:
        loader: decodes images; `close` closes it.
        batcher: runs the network on batches of a fixed shape.
        classes: number of columns of probabilities.
        features: number of columns of features after them.
    """

    def __init__(
        self, loader: ImageLoader, batcher: FixedBatcher, *, classes: int, features: int = 0
    ) -> None:
        self._loader = loader
        self._batcher = batcher
        self._classes = classes
        self._features = features

    @property
    def loader(self) -> str:
        """Class name of the loader."""
        return str(getattr(self._loader, "kind", type(self._loader).__name__))

    def close(self) -> None:
        """Close the loader."""
        self._loader.close()

    def score(self, units: Iterator[Unit]) -> Generator[Event]:
        """Score the units in their order; see `Engine.score`.

        This generator owns the threads of all stages. It stops them, from the last stage to the
        first, in every case: at its end, on an error of a stage, on an interrupt while it waits,
        and when the caller closes it.
        """
        decoder = Decoder(self._loader, classes=self._classes, features=self._features)
        with ExitStack() as stages:
            contents = Prefetcher(read(units), depth=_UNITS_AHEAD)
            stages.enter_context(closing(contents))
            stages.enter_context(closing(decoder))
            decoded = Prefetcher(decoder.run(contents), depth=_ITEMS_AHEAD)
            stages.enter_context(closing(decoded))
            # In a thread, too: the network keeps running while the caller writes results.
            events = Prefetcher(infer_and_settle(decoded, self._batcher), depth=_EVENTS_AHEAD)
            stages.enter_context(closing(events))
            # Runs before any of them is closed: a thread that waits for a unit cannot be closed.
            stages.callback(_stop, units)
            # Not `yield from`: when the caller closes this generator, that would close `events`
            # before the units are stopped.
            for event in events:  # noqa: UP028
                yield event

    def ceilings(self, images: Sequence[ImageRef]) -> Ceilings | None:
        """Measure each stage alone; see `Engine.ceilings`."""
        return measure_ceilings(images, loader=self._loader, model=self._batcher.ceiling)


def _stop(units: Iterator[Unit]) -> None:
    if isinstance(units, Stoppable):
        units.stop()
