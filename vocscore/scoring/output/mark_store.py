"""Stores the parts of several processes that score beside each other, without a driver.

Each commits its units by `marks`, on any `Files`; `marked_run` is what they share. A file

    other-RUN-000005-..

says that a process that was slower wrote other bytes for unit 5, which do not count.
"""

from __future__ import annotations

import io
import secrets
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from vocscore.errors import ScoreError
from vocscore.scoring.output.marked_run import PLAN, MarkedRun
from vocscore.scoring.output.marks import (
    BAD,
    FEATURES,
    PART,
    STAMPS,
    Mark,
    Stored,
    differing,
    is_ours,
    mark_name,
    marked,
    other_name,
)
from vocscore.scoring.output.verified import (
    DamagedPartError,
    Verified,
    checked,
    checked_bytes,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import ExitStack

    from vocscore.scoring.output.features_parts import FeaturesFormat
    from vocscore.scoring.output.files import Files
    from vocscore.scoring.output.part_store import Join
    from vocscore.scoring.output.publisher import Publisher
    from vocscore.scoring.output.rows import Rows
    from vocscore.scoring.output.unit_record import UnitRecord

_WAITS: Final = (0.0, 0.1, 0.4, 1.6, 6.4)
"""Seconds before each try to commit: NFS may not show another's mark for some seconds."""


class MarkStore:
    """A `PartStore` for processes that each score a share of the units.

    Args:
        files: the folder of the parts.
        publisher: makes the output.
        place: the output, as messages name it.
        suffix: suffix of the parts.
        wanted: the units whose records are read.

    Attributes:
        run: its plan and its inputs.
        publisher: makes the output.
        features: writes and joins features; None: there are none.
        others: units of this process that another one had committed with other bytes.
    """

    def __init__(
        self,
        files: Files,
        publisher: Publisher,
        *,
        place: str,
        suffix: str,
        wanted: Callable[[int], bool] = lambda _number: True,
    ) -> None:
        self.place = place
        self.cure = (
            "Finish it and merge it; or, when none of its jobs runs any more, remove "
            f"{files.place}; or choose another `output`."
        )
        self.others: list[int] = []
        self.features: FeaturesFormat | None = None
        self.run = MarkedRun(files, place)
        self._files = files
        self.publisher = publisher
        self._suffix = suffix
        self._wanted = wanted
        self._marks: dict[int, Mark] = {}

    def hold(self, held: ExitStack) -> None:
        """Exclude nobody: marks do not need it."""
        del held
        with self.run.using():
            self._files.open()

    def settle(self) -> None:
        """Finish a merge that was killed when its output was complete."""
        with self.run.using():
            if self.publisher.settle():
                self._remove()

    def refuse_existing(self, *, overwrite: bool) -> None:
        """Raise if the output must not be replaced."""
        self.publisher.refuse_existing(overwrite=overwrite)

    def plan(self) -> dict[str, Any] | None:
        """Read the plan that stands."""
        return self.run.plan()

    def begin(self, plan: Mapping[str, Any]) -> None:
        """Store the plan, unless another process was faster."""
        self.run.begin(plan)

    def start(self, record: bytes) -> None:
        """Store the record of the first process."""
        self.run.start(record)

    def committed(self) -> set[int]:
        """The numbers of all units that have a mark."""
        with self.run.using():
            numbers = (marked(self.run.number, name) for name in self._files.names())
            return {number for number in numbers if number is not None}

    def is_committed(self, number: int) -> bool:
        """Whether a unit has a mark now."""
        with self.run.using():
            return self._files.exists(mark_name(self.run.number, number))

    def records(self) -> dict[int, UnitRecord]:
        """Read the marks of the units that are wanted.

        Raises:
            DamagedPartError: some are not as they were written; they are withdrawn.
        """
        numbers = [number for number in sorted(self.committed()) if self._wanted(number)]
        with ThreadPoolExecutor(self._files.at_once) as pool:
            found = dict(zip(numbers, pool.map(self._mark_or_none, numbers), strict=True))
        damaged = [number for number, mark in found.items() if mark is None]
        if damaged:
            with self.run.using():
                raise self._withdrawn(damaged)
        self._marks.update((number, mark) for number, mark in found.items() if mark)
        return {number: mark.record for number, mark in self._marks.items()}

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
        """Store the files of a unit, then its mark; where there is one, that one stands."""
        part = io.BytesIO()
        write(part)
        files = [(PART, part.getvalue(), self._suffix)]
        files += [(BAD, bad_records, ".jsonl")] if bad_records else []
        files += [(STAMPS, stamps, ".bin")] if stamps else []
        if self.features is not None and rows is not None:
            features = io.BytesIO()
            self.features.write(features, rows)
            files.append((FEATURES, features.getvalue(), self.features.suffix))
        stored = {role: Stored.of(role, number, data, suffix) for role, data, suffix in files}
        with self.run.using():
            for role, data, _ in files:
                self._files.put(stored[role].name, data)
            mark = Mark(record, stored, attempt=secrets.token_hex(8))
            self._marks[number] = self._settled(number, mark)
        return self._marks[number].record

    def _settled(self, number: int, mine: Mark) -> Mark:
        """Create the mark of a unit, or read the one that stands."""
        name, data = mark_name(self.run.number, number), mine.to_bytes()
        for wait in _WAITS:
            time.sleep(wait)
            if self._files.create(name, data):
                return mine
            try:
                theirs = self._mark(number)
            except FileNotFoundError:
                continue  # a conflict that nobody has won: try again
            if theirs.attempt != mine.attempt and not theirs.has_rows_of(mine):
                self.others.append(number)
                self._files.put(other_name(self.run.number, number, mine), data)
            return theirs
        raise OSError(0, "other processes keep its name busy", f"{self._files.place}/{name}")

    def bad_records(self, number: int) -> Path:
        """Return a file with the bad inputs of a unit; missing if it has none.

        Raises:
            DamagedPartError: it is not as it was stored; its mark is withdrawn.
        """
        stored = self._marks[number].files.get(BAD)
        if stored is None:
            return Path(self._files.place) / f"bad-{number:06d}-none.jsonl"
        with self.run.using():
            path = checked(self._files, stored)
            if path is None:
                raise self._withdrawn([number])
            return path

    def stamps(self, units: int) -> bytes:
        """Return the stamps of the units one after the other.

        Raises:
            DamagedPartError: some are not as they were stored; their marks are withdrawn.
        """
        stored = {number: self._marks[number].files.get(STAMPS) for number in range(units)}
        with self.run.using():
            found = {n: checked_bytes(self._files, one) for n, one in stored.items() if one}
            pieces = [piece for piece in found.values() if piece is not None]
            if len(pieces) < len(found):
                raise self._withdrawn([n for n, piece in found.items() if piece is None])
        return b"".join(pieces)

    def different(self) -> list[int]:
        """The units for which a process wrote bytes that differ from those that stand."""
        numbers = (differing(self.run.number, name) for name in self._files.names())
        return sorted({number for number in numbers if number is not None})

    def publish(
        self,
        units: int,
        write: Join,
        *,
        record: Callable[[int], bytes] | None,
        files: bytes | None,
    ) -> None:
        """Join the parts that the marks name, after each was found as it was stored.

        Raises:
            DamagedPartError: some are not; their marks are withdrawn, so that they are scored
                again.
        """
        parts = Verified(self._files, [self._marks[number] for number in range(units)], PART)
        features = None
        if self.features is not None:
            features = (self.features, lambda: Verified(self._files, parts.marks, FEATURES))
        try:
            with self.run.using():
                self.publisher.publish(
                    lambda: parts, write, features=features, record=record, files=files
                )
        except DamagedPartError as error:
            with self.run.using():
                raise self._withdrawn(error.numbers) from error
        with self.run.using():
            self._remove()

    def _withdrawn(self, numbers: Sequence[int]) -> DamagedPartError:
        """Remove the marks of damaged units, so that they are scored again."""
        self._files.remove(mark_name(self.run.number, number) for number in numbers)
        return DamagedPartError(numbers)

    @property
    def features_bytes(self) -> int | None:
        """Size of the joined features."""
        return self.publisher.features_bytes

    def discard(self) -> None:
        """Remove the files of the unfinished run."""
        with self.run.using():
            self._remove()

    def leave(self) -> None:
        """Remove the folder if it is empty."""
        self._files.close()

    def _remove(self) -> None:
        """Remove all files, the plan last: a run killed meanwhile is still recognized."""
        names = [name for name in self._files.names() if is_ours(name)]
        self._files.remove(sorted(names, key=lambda name: name == PLAN))
        self.publisher.close()
        self._files.close()

    def _mark(self, number: int) -> Mark:
        mark = self._mark_or_none(number)
        if mark is None:
            name = mark_name(self.run.number, number)
            raise ScoreError(
                f"{self._files.place}/{name}: damaged. Remove it, and score its unit again."
            )
        return mark

    def _mark_or_none(self, number: int) -> Mark | None:
        try:
            return Mark.from_bytes(self._files.read(mark_name(self.run.number, number)))
        except (ValueError, KeyError, TypeError):
            return None
