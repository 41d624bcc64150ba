"""Scoring as the work of a worker: opens an engine, turns its events into messages."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from vocscore.scoring.engines import Finished
from vocscore.workers.messages import Done, Partial

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping

    from vocscore.scoring.engines.local import LocalEngine


class Opener(Protocol):
    """Opens a worker's engine; can be pickled and sent to another process."""

    @property
    def device(self) -> str:
        """The device it will use, for messages."""

    @property
    def kind(self) -> Mapping[str, str]:
        """See `vocscore.workers.messages.Work`; asked for when the engine is open."""

    def open(self) -> LocalEngine:
        """Load the network and open the loader; called in the worker's process."""
        ...


@dataclass(frozen=True, slots=True)
class ScoringJob:
    """A `Job` whose items are units.

    Attributes:
        opener: opens the engine.
    """

    opener: Opener

    @property
    def device(self) -> str:
        """The engine's device."""
        return self.opener.device

    def open(self) -> ScoringWork:
        """Open the engine."""
        return ScoringWork(self.opener)


class ScoringWork:
    """The `Work` of one engine.

    Args:
        opener: opens it.

    Attributes:
        about: class name of the engine's loader.
        kind: see `Work`.
    """

    def __init__(self, opener: Opener) -> None:
        self._engine = opener.open()
        self.about = self._engine.loader
        self.kind = opener.kind

    def run(self, items: Iterator[Any]) -> Generator[Partial | Done]:
        """Score units."""
        with closing(self._engine.score(items)) as events:
            for event in events:
                if isinstance(event, Finished):
                    yield Done(event.unit.number, event)
                else:
                    yield Partial(event.number, event)

    def close(self) -> None:
        """Close the engine."""
        self._engine.close()
