"""Writes the rows of a trial and joins them, to know what this costs per row."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

    from vocscore.scoring.engines import Finished
    from vocscore.scoring.formats.choice import RowsFormat

_ROWS: Final = 20_000
"""Rows that are joined at least, the same ones again where there are fewer."""


@dataclass(frozen=True, slots=True)
class RowCosts:
    """What one row of the output costs, without waiting for the disk.

    Attributes:
        write: seconds, in the part of its unit.
        join: seconds, when the parts are joined.
        bytes: of the output.
    """

    write: float
    join: float
    bytes: float


class TrialParts:
    """Parts of a trial.

    Args:
        folder: for the parts; empty.
        rows_format: of the output.
        joined: whether parts are joined to one file.
    """

    def __init__(self, folder: Path, rows_format: RowsFormat, *, joined: bool) -> None:
        self._folder = folder
        self._format = rows_format
        self._joined = joined
        self._parts: list[Path] = []
        self._rows = 0
        self._seconds = 0.0

    def commit(self, finished: Finished) -> None:
        """Write the part of a unit."""
        part = self._folder / f"part-{finished.unit.number:06d}{self._format.suffix}"
        started = time.perf_counter()
        with part.open("wb") as file:
            self._format.write(file, finished.rows)
        self._seconds += time.perf_counter() - started
        self._parts.append(part)
        self._rows += len(finished.rows.names)

    def costs(self) -> RowCosts | None:
        """Join the parts; None if there is no row."""
        if not self._rows:
            return None
        size = sum(part.stat().st_size for part in self._parts)
        times = -(-_ROWS // self._rows)
        started = time.perf_counter()
        if self._joined:
            with (self._folder / "joined").open("wb") as file:
                self._format.merge(file, self._parts * times)
        join = (time.perf_counter() - started) / (self._rows * times) if self._joined else 0.0
        return RowCosts(self._seconds / self._rows, join, size / self._rows)
