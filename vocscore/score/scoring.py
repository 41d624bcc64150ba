"""The units of a source on their way to the output: decode, score, prove, commit, join."""

from __future__ import annotations

from collections import Counter
from contextlib import closing
from typing import TYPE_CHECKING

from shards.errors import BadPicture
from vocscore.errors import ScoreError
from vocscore.score.ahead import ahead
from vocscore.score.ledger import Record
from vocscore.score.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from vocscore.pipeline.batch import Batch, Maker
    from vocscore.score.forward import Forward
    from vocscore.score.ledger import Ledger
    from vocscore.score.rows import CsvFormat
    from vocscore.score.units import Contents, Inputs, Unit

    Progress = Callable[[int, int, int], None]

# Fetched while the network works: the mark that ends a unit, and the first batch behind it, so
# that decoding goes on across the border.
_ITEMS_AHEAD = 2


class Scoring:
    """The units of one source on their way to one output.

    Args:
        inputs: what there is to score.
        ledger: knows the units that are done.
        unit_size: files a unit.
        rows_format: writes parts, and joins them.
        progress: as for `score`.
    """

    def __init__(
        self,
        inputs: Inputs,
        ledger: Ledger,
        *,
        unit_size: int,
        rows_format: CsvFormat,
        progress: Progress | None,
    ) -> None:
        """Count what is done."""
        self._inputs = inputs
        self._ledger = ledger
        self._unit_size = unit_size
        self._format = rows_format
        self._progress = progress
        self._units = 0
        self._weight = 0  # of the units done
        for unit in inputs.units(unit_size):
            self._units += 1
            self._weight += unit.weight if unit.number in ledger.records else 0
        self._rows = sum(record.rows for record in ledger.records.values())
        self._errors = sum(sum(record.errors.values()) for record in ledger.records.values())

    def run(self, maker: Maker, forward: Forward) -> None:
        """Score what is left, and join the parts.

        Raises:
            ScoreError: there was no picture at all, the disk will not have the rows, or the
                network's answer is no number. Finished units are kept.
            RowsError: a row was lost or doubled. Nothing of that unit is kept.
        """
        tally: Tally | None = None
        with closing(ahead(self._batches(maker), depth=_ITEMS_AHEAD)) as items:
            for unit, contents, batch in items:
                tally = tally or Tally(
                    [ref.name for ref in contents.pictures], classes=len(self._format.classes)
                )
                scored = forward.flush() if batch is None else forward.feed(batch)
                for rows, probabilities in scored:
                    tally.add(rows, probabilities)
                for failure in batch.failures if batch else ():
                    tally.fail(failure.row, BadPicture(failure.reason, failure.detail))
                if batch is None and contents.refusal is not None:
                    tally.fail(0, contents.refusal)
                self._show(unit, contents, tally)
                if batch is None:
                    self._commit(unit, contents, tally)
                    tally = None
        self._merge()

    def _batches(self, maker: Maker) -> Generator[tuple[Unit, Contents, Batch | None]]:
        """Go through the units that are left; None behind the last batch of each."""
        for unit in self._inputs.units(self._unit_size):
            if unit.number in self._ledger.records:
                continue
            contents = unit.read()
            if contents.refusal is None:
                for batch in maker.batches(contents.pictures):
                    yield unit, contents, batch
            yield unit, contents, None

    def _commit(self, unit: Unit, contents: Contents, tally: Tally) -> None:
        rows = tally.finish()
        errors = Counter(str(failure.reason) for failure in rows.failures.values())
        record = Record(len(rows.names), dict(sorted(errors.items())), contents.problems)
        self._ledger.commit(unit.number, record, lambda file: self._format.write(file, rows))
        self._weight += unit.weight
        self._rows += record.rows
        self._errors += errors.total()

    def _merge(self) -> None:
        if not self._rows:
            self._ledger.discard()
            raise ScoreError(
                f"no picture in {self._units} tars (looked for members that are pictures by their "
                "names or first bytes). Name a source that holds pictures."
            )
        self._ledger.merge(self._units, self._format.merge)

    def _show(self, unit: Unit, contents: Contents, tally: Tally) -> None:
        """Tell how far it is; what only unread tars know is guessed by their bytes."""
        if self._progress is None:
            return
        total = self._inputs.pictures
        if total is None:
            begun = self._rows + len(contents.pictures)
            total = round(begun * self._inputs.weight / max(self._weight + unit.weight, 1))
        self._progress(self._rows + tally.done, total, self._errors + tally.errors)
