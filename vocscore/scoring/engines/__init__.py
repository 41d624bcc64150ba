"""Where units run: `local` in this process, `processes` in one process per device.

An engine takes units and yields events about them; it commits nothing. Parts, their order and the
lock on the output stay with the calling process.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

    from shards.sample import ImageRef
    from vocscore.scoring.ceilings import Ceilings
    from vocscore.scoring.inputs.units import Contents, Unit
    from vocscore.scoring.output.rows import Rows


@dataclass(frozen=True, slots=True)
class Advance:
    """A unit has progressed by a batch.

    Attributes:
        number: of the unit.
        weight: of the unit.
        images: images in the unit.
        done: rows of it that have come.
        errors: those of them with an error.
    """

    number: int
    weight: int
    images: int
    done: int
    errors: int


@dataclass(frozen=True, slots=True)
class Finished:
    """A unit is scored; it is not committed yet.

    Attributes:
        unit: which.
        contents: what was in it.
        rows: every row of it, proved to have come once.
        problems: what happened meanwhile that a person should know, one line each.
    """

    unit: Unit
    contents: Contents
    rows: Rows
    problems: tuple[str, ...] = ()


Event = Advance | Finished


@runtime_checkable
class Stoppable(Protocol):
    """An iterator of units that may block, and that can be told that no more are wanted."""

    def stop(self) -> None:
        """End the iteration, also for a thread that is waiting in it."""


class Engine(Protocol):
    """Runs units somewhere."""

    def score(self, units: Iterator[Unit]) -> Generator[Event]:
        """Score every unit once, in any order; close the generator to stop in the middle.

        Args:
            units: may be `Stoppable`; they are stopped when no more are wanted.

        Raises:
            ScoreError: the model returned NaN, or the device cannot continue.
            RowsError: a row was lost or doubled. That unit is not yielded.
        """
        ...

    def ceilings(self, images: Sequence[ImageRef]) -> Ceilings | None:
        """Measure how fast the machine reads, decodes and runs the network, for some seconds.

        Args:
            images: a sample of what was scored.

        Returns:
            None where that cannot be measured: no good image, or several devices at work.
        """
        ...
