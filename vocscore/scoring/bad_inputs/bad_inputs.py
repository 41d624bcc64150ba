"""Copies bad inputs to a quarantine, and stops the run if there are too many."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from vocscore.errors import StoppedOnPurposeError

if TYPE_CHECKING:
    from pathlib import Path

    from vocscore.scoring.bad_inputs.quarantine import Quarantine
    from vocscore.scoring.output.destination import Destination
    from vocscore.scoring.output.unit_record import UnitRecord

LEAST_ROWS = 1000
"""Rows before the share is checked: ten bad files at the start of a folder say little about it."""


class BadInputs:
    """Checks every committed unit.

    The share of bad inputs is checked after each unit, over all units committed so far including
    those of earlier runs, once they have `LEAST_ROWS` rows; and before the parts are joined, for
    any number of rows.

    Args:
        ledger: has the units that are done.
        max_bad: share of the rows that may be errors, 0 to 1; None: any.
        quarantine: receives copies of bad inputs; None copies nothing.
        reused: number of good rows that are not in the ledger, because an update keeps them.
    """

    def __init__(
        self,
        ledger: Destination,
        *,
        max_bad: float | None = None,
        quarantine: Quarantine | None = None,
        reused: int = 0,
    ) -> None:
        """Count the rows of earlier runs."""
        self._ledger = ledger
        self._max_bad = max_bad
        self._quarantine = quarantine
        self._rows = reused
        self._reasons: Counter[str] = Counter()
        for record in ledger.records.values():
            self._count(record)

    def begin(self) -> None:
        """Copy the bad inputs of earlier runs, and check their share.

        Raises:
            StoppedOnPurposeError: there are too many already.
            ScoreError: the copies cannot be written.
        """
        if self._quarantine is not None:
            self._quarantine.begin()
            for unit in self._units():
                self._quarantine.take(unit)
        self._judge(finished=False)

    def committed(self, number: int) -> None:
        """Copy the bad inputs of a unit that was just committed, and check the share so far.

        Raises:
            StoppedOnPurposeError: there are too many.
            ScoreError: the copies cannot be written.
        """
        if self._quarantine is not None:
            self._quarantine.take(self._ledger.bad_records(number))
        self._count(self._ledger.records[number])
        self._judge(finished=False)

    def finish(self) -> None:
        """Check the share in the whole output, and write the table of the copies.

        Raises:
            StoppedOnPurposeError: there are too many.
            ScoreError: the table cannot be written.
        """
        self._judge(finished=True)
        self._write_table()

    def _count(self, record: UnitRecord) -> None:
        self._rows += record.rows
        self._reasons.update(record.errors)

    def _judge(self, *, finished: bool) -> None:
        bad = self._reasons.total()
        if self._max_bad is None or bad <= self._max_bad * self._rows:
            return
        if finished or self._rows >= LEAST_ROWS:
            self._write_table()
            told = ", ".join(f"{count} {reason}" for reason, count in self._reasons.most_common())
            cure = "Their rows were written. Rerun the command with a higher `max_bad` to score all"
            if self._ledger.resumable:
                cure = (
                    "Finished units are kept. Rerun the same command with a higher `max_bad` to "
                    "resume"
                )
            raise StoppedOnPurposeError(
                f"{bad} of {self._rows} inputs so far are bad ({told}), more than "
                f"`max_bad={self._max_bad:g}` allows. {cure}; `quarantine=DIR` copies the bad "
                "inputs."
            )

    def _write_table(self) -> None:
        if self._quarantine is not None:
            self._quarantine.finish(self._units())

    def _units(self) -> list[Path]:
        """Return the files of the committed units with bad inputs, in the order of the output."""
        records = sorted(self._ledger.records.items())
        return [self._ledger.bad_records(number) for number, record in records if record.errors]
