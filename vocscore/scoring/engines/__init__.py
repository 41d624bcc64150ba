"""Where units run: `local` in this process, `processes` in one a device.

An engine takes units and tells how they come on; it commits nothing. Parts, their order and the
lock on the output stay with the one process that asked.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

    from shards.sample import ImageRef
    from vocscore.scoring.inputs.units import Contents, Unit
    from vocscore.scoring.output.rows import Rows
    from vocscore.scoring.walls import Ceilings


@dataclass(frozen=True, slots=True)
class Advance:
    """A unit has come a batch further.

    Attributes:
        number: of the unit.
        weight: of the unit.
        images: in the unit.
        done: rows of it that have come.
        errors: rows of it that have come with an error.
    """

    number: int
    weight: int
    images: int
    done: int
    errors: int


@dataclass(frozen=True, slots=True)
class Finished:
    """A unit is scored; nothing of it is kept yet.

    Attributes:
        unit: which.
        contents: what was in it.
        rows: every row of it, proved to have come once.
        problems: what the machine did meanwhile that a person should know, a line each.
    """

    unit: Unit
    contents: Contents
    rows: Rows
    problems: tuple[str, ...] = ()


Event = Advance | Finished


@runtime_checkable
class Stoppable(Protocol):
    """Units that may wait for the next one, and can be told that no more are wanted."""

    def stop(self) -> None:
        """Let whoever waits for the next unit see the end."""


class Engine(Protocol):
    """Runs units somewhere."""

    def score(self, units: Iterator[Unit]) -> Generator[Event]:
        """Score every unit once, in any order; close the generator to stop in the middle.

        Args:
            units: may be `Stoppable`; they are stopped when no more are wanted.

        Raises:
            ScoreError: the network's answer is no number, or the machine will not carry on.
            RowsError: a row was lost or doubled. Nothing of that unit comes out.
        """
        ...

    def ceilings(self, images: Sequence[ImageRef]) -> Ceilings | None:
        """Measure how fast the machine reads, decodes and computes, each alone, for some seconds.

        Args:
            images: a sample of what was scored.

        Returns:
            None where it cannot be said: no good image, or several devices at work.
        """
        ...
