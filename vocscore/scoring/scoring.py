"""Scores the units of a source: passes them to an engine, commits them, joins the parts."""

from __future__ import annotations

from collections import Counter
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from shards.file_kinds import count, listed
from vocscore.errors import ScoreError
from vocscore.records.input_stamps import HASHED, PLAIN, encoded_stamps
from vocscore.scoring.bad_inputs.bad_inputs import BadInputs
from vocscore.scoring.bad_inputs.bad_records import bad_records, encoded
from vocscore.scoring.engines import Advance
from vocscore.scoring.inputs.units import LooseFiles
from vocscore.scoring.output.unit_record import UnitRecord

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from vocscore.scoring.engines import Engine, Finished
    from vocscore.scoring.formats.choice import RowsFormat
    from vocscore.scoring.inputs.units import Inputs, Unit
    from vocscore.scoring.output.destination import Destination
    from vocscore.scoring.update.reuse import Reuse

    Described = Callable[..., bytes]
    """From the size of the output in bytes, and `files`, its stamps, to its record."""
    Progress = Callable[[int, int, int], None]


class Scoring:
    """Scores the units of one source into one output.

    Args:
        inputs: what to score.
        ledger: has the units that are done.
        unit_size: files per unit.
        rows_format: writes parts and joins them.
        progress: as for `score`.
        bad: handles bad inputs; with None they only become rows.
        record: as for `Ledger.merge`, but also given the stamps.
        on_stage: called with the name of the stage that begins.
        reuse: the rows of an earlier output that the joined file also has; None: none.
        taken: whether another process has committed a unit, asked when its turn comes.
    """

    def __init__(
        self,
        inputs: Inputs,
        ledger: Destination,
        *,
        unit_size: int,
        rows_format: RowsFormat,
        progress: Progress | None,
        bad: BadInputs | None = None,
        record: Described | None = None,
        on_stage: Callable[[str], None] | None = None,
        reuse: Reuse | None = None,
        taken: Callable[[int], bool] = lambda _number: False,
    ) -> None:
        """Count the units and rows of earlier runs."""
        self._inputs = inputs
        self._ledger = ledger
        self._unit_size = unit_size
        self._format = rows_format
        self._progress = progress
        self._bad = bad or BadInputs(ledger)
        self._record = record
        self._reuse = reuse
        self._taken = taken
        self._stage = on_stage or (lambda _name: None)
        self._running: dict[int, Advance] = {}
        self._units = 0
        self._weight = 0  # of the units done
        for unit in inputs.units(unit_size):
            self._units += 1
            self._weight += unit.weight if unit.number in ledger.records else 0
        self._rows = sum(record.rows for record in ledger.records.values())
        self._errors = sum(sum(record.errors.values()) for record in ledger.records.values())

    def run(self, engine: Engine) -> None:
        """Score the units that are not committed, and join the parts.

        Raises:
            ScoreError: there is no image at all; and as for `score`.
        """
        self.score(engine)
        self._merge()

    def merge(self) -> None:
        """Join the parts: all units are committed.

        Raises:
            StoppedOnPurposeError: as for `BadInputs`.
            ScoreError: there is no image at all, or the rows cannot be written.
        """
        self._bad.begin()
        self._merge()

    def score(self, engine: Engine) -> None:
        """Score the units that are not committed.

        Raises:
            StoppedOnPurposeError: as for `BadInputs`.
            ScoreError: the rows cannot be written, the model returned NaN, or the engine cannot
                continue. Finished units are kept.
            RowsError: a row was lost or duplicated. That unit is not committed.
        """
        self._bad.begin()
        self._stage("scoring")
        self._show()  # rows of earlier runs, which the rate must not count
        with closing(engine.score(self._left())) as events:
            for event in events:
                if isinstance(event, Advance):
                    self._running[event.number] = event
                    self._show()
                else:
                    self._commit(event)

    def _left(self) -> Iterator[Unit]:
        for unit in self._inputs.units(self._unit_size):
            if unit.number not in self._ledger.records and not self._taken(unit.number):
                yield unit

    def _commit(self, finished: Finished) -> None:
        unit, rows = finished.unit, finished.rows
        errors = Counter(str(failure.reason) for failure in rows.failures.values())
        problems = (*finished.contents.problems, *finished.problems)
        record = UnitRecord(
            len(rows.names),
            dict(sorted(errors.items())),
            problems,
            dict(sorted(finished.contents.skipped.items())),
        )
        self._ledger.commit(
            unit.number,
            record,
            lambda file: self._format.write(file, rows),
            bad_records=encoded(bad_records(finished.contents.images, rows.failures)),
            stamps=finished.contents.stamps,
            rows=rows,
        )
        self._bad.committed(unit.number)
        self._running.pop(unit.number, None)
        self._weight += unit.weight
        self._rows += record.rows
        self._errors += errors.total()

    def _merge(self) -> None:
        if not self._rows and not (self._reuse and self._reuse.stay):
            self._ledger.discard()
            globs = f" that {self._inputs.globs} leaves" if self._inputs.globs else ""
            kinds: dict[str, int] = {}
            for record in self._ledger.records.values():
                for kind, number in record.skipped.items():
                    count(kinds, kind, number)
            others = f"; there are {listed(kinds)}" if kinds else ""
            raise ScoreError(
                f"no image{globs} in {self._units} tars (looked for members that are images by "
                f"their names or first bytes{others}). Name a source that contains images."
            )
        self._stage("joining the parts")
        self._bad.finish()
        files = self._stamps()
        described = self._record and partial(self._record, files=files)
        self._ledger.merge(self._units, self._format.merge, record=described, files=files)

    def _stamps(self) -> bytes | None:
        """Return the stamps of all rows; None if they were not looked up."""
        if not isinstance(self._inputs, LooseFiles) or self._inputs.stamps is None:
            return None
        kind = HASHED if self._inputs.stamps == "hash" else PLAIN
        stamps = np.frombuffer(self._ledger.stamps(self._units), kind)
        if len(stamps) != self._rows:
            return None  # some parts are from a version that did not look them up
        return encoded_stamps(self._reuse.all_stamps(stamps) if self._reuse else stamps)

    def _show(self) -> None:
        """Report progress; the images in tars not read yet are estimated from their sizes."""
        if self._progress is None:
            return
        running = self._running.values()
        total = self._inputs.images
        if total is None:
            begun = self._rows + sum(unit.images for unit in running)
            weight = self._weight + sum(unit.weight for unit in running)
            total = round(begun * self._inputs.weight / max(weight, 1))
        done = self._rows + sum(unit.done for unit in running)
        self._progress(done, total, self._errors + sum(unit.errors for unit in running))
