"""Where the rows of finished units go."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO, ClassVar, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from vocscore.scoring.output.rows import Rows
    from vocscore.scoring.output.unit_record import UnitRecord


class Destination(Protocol):
    """A `Ledger`, whose parts become files, or a `RowsStream`.

    Attributes:
        resumable: whether a run that is stopped can be resumed.
        records: records of the committed units, by their number.
    """

    resumable: ClassVar[bool]
    records: dict[int, UnitRecord]

    def commit(
        self,
        number: int,
        record: UnitRecord,
        write: Callable[[BinaryIO], None],
        *,
        bad_records: bytes = b"",
        stamps: bytes = b"",
        rows: Rows | None = None,
    ) -> None:
        """Take the rows of one unit."""

    def bad_records(self, number: int) -> Path:
        """Return the file that lists the bad inputs of a committed unit; missing if it has none."""

    def stamps(self, units: int) -> bytes:
        """Return the stamps of the committed units one after the other."""

    def merge(
        self,
        units: int,
        write: Callable[[BinaryIO, Iterable[Path]], None],
        *,
        record: Callable[[int], bytes] | None = None,
        files: bytes | None = None,
    ) -> None:
        """Finish the output: all units were committed."""

    def discard(self) -> None:
        """Leave nothing of a run without rows."""
