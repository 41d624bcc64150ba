"""Engines score units: `local` in this process, `processes` in one process per device.

An engine takes units and yields events about them; it commits nothing. The calling process handles
the parts, their order and the lock on the output.
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
        number: number of the unit.
        weight: weight of the unit.
        images: images in the unit.
        done: rows of the unit that are done.
        errors: how many of these have an error.
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
        unit: the unit.
        contents: the images in it.
        rows: its rows; each was checked to occur exactly once.
        problems: warnings for the user, one line each.
    """

    unit: Unit
    contents: Contents
    rows: Rows
    problems: tuple[str, ...] = ()


Event = Advance | Finished


@runtime_checkable
class Stoppable(Protocol):
    """An iterator of units that may block and can be stopped."""

    def stop(self) -> None:
        """End the iteration, also in a thread that is blocked in it."""


class Engine(Protocol):
    """Scores units."""

    def score(self, units: Iterator[Unit]) -> Generator[Event]:
        """Score every unit once, in any order; close the generator to stop early.

        Args:
            units: may be `Stoppable`; then they are stopped when no more are needed.

        Raises:
            ScoreError: the model returned NaN, or the device cannot continue.
            RowsError: a row was lost or duplicated. That unit is not yielded.
        """
        ...

    def ceilings(self, images: Sequence[ImageRef]) -> Ceilings | None:
        """Measure for some seconds how fast the machine reads, decodes and runs the network.

        Args:
            images: a sample of what was scored.

        Returns:
            The ceilings, or None if they cannot be measured: no good image, or several devices.
        """
        ...
