"""Where the parts of an output lie until it is complete."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, BinaryIO, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from contextlib import ExitStack
    from pathlib import Path

    from vocscore.scoring.output.rows import Rows
    from vocscore.scoring.output.unit_record import UnitRecord

    Join: TypeAlias = Callable[[BinaryIO, Iterable[Path]], None]
    """Writes the output, given the parts in order."""


class PartStore(Protocol):
    """Stores what a `Ledger` decides: the plan, the parts of units and their records.

    Its methods raise `ScoreError`, one line with the cure, where something cannot be written.

    Attributes:
        place: the unfinished output, as messages name it.
        cure: what to do about an unfinished run with another plan.
    """

    place: str
    cure: str

    def hold(self, held: ExitStack) -> None:
        """Exclude other runs that write the same output until `held` is closed, if they have to be.

        Raises:
            ScoreError: another run is writing it, or the file system has no locks.
        """

    def settle(self) -> None:
        """Finish a run that was killed after its output was complete; otherwise do nothing."""

    def refuse_existing(self, *, overwrite: bool) -> None:
        """Raise if the output, or something of its name, exists and must not be replaced."""

    def plan(self) -> dict[str, Any] | None:
        """Read the plan of the unfinished run; None if there is none.

        Raises:
            ScoreError: it is damaged.
        """

    def begin(self, plan: Mapping[str, Any]) -> None:
        """Store the plan of a new run. Another one may be faster: the plan that stands is `plan`.

        Raises:
            ScoreError: something else is in the place of the parts.
        """

    def records(self) -> dict[int, UnitRecord]:
        """Read the records of the complete parts, by the number of the unit."""

    def commit(
        self,
        number: int,
        record: UnitRecord,
        write: Callable[[BinaryIO], None],
        *,
        bad_records: bytes,
        stamps: bytes,
        rows: Rows | None,
    ) -> UnitRecord:
        """Store the part of one unit durably; return the record of the part that stands."""

    def bad_records(self, number: int) -> Path:
        """Return a file with the bad inputs of a committed unit; missing if it has none."""

    def stamps(self, units: int) -> bytes:
        """Return the stamps of the units one after the other; all are committed."""

    def start(self, record: bytes) -> None:
        """Store the record as far as it is known at the start, for readers of the parts."""

    def publish(
        self,
        units: int,
        write: Join,
        *,
        record: Callable[[int], bytes] | None,
        files: bytes | None,
    ) -> None:
        """Join the parts of all units to the output, which appears as a whole; remove the parts."""

    @property
    def features_bytes(self) -> int | None:
        """Size of the joined features, while the output is published; None: there are none."""

    def discard(self) -> None:
        """Remove everything of the unfinished run."""

    def leave(self) -> None:
        """Remove what is empty."""
