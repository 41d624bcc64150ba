"""Decides which parts of an output count: commits, resume, merge. A `PartStore` has them."""

from __future__ import annotations

import json
from contextlib import ExitStack, contextmanager
from shlex import quote
from typing import TYPE_CHECKING, Any, BinaryIO, ClassVar

from vocscore.errors import ScoreError
from vocscore.scoring.output.differences import differences
from vocscore.scoring.output.marked_run import PARTS
from vocscore.scoring.output.object_store import object_store
from vocscore.scoring.output.posix_store import PosixStore
from vocscore.scoring.output.work_folder import work_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from vocscore.scoring.output.features_parts import FeaturesFormat
    from vocscore.scoring.output.part_store import Join, PartStore
    from vocscore.scoring.output.rows import Rows
    from vocscore.scoring.output.unit_record import UnitRecord

FORMAT_VERSION = 1


@contextmanager
def open_ledger(
    output: Path,
    plan: Mapping[str, Any],
    *,
    suffix: str,
    overwrite: bool,
    folder: bool = False,
    discard: bool | None = None,
    features: tuple[Path, FeaturesFormat] | None = None,
) -> Iterator[Ledger]:
    """Lock an output while it is being written.

    An unfinished run with an equal plan is resumed, also with `overwrite`: a command that replaces
    a file has to be resumable, too.

    Args:
        output: the future file or folder.
        plan: plain values that determine the output's bytes; mappings may be nested.
        suffix: suffix of the parts.
        overwrite: replace an existing output, and discard an unfinished run with another plan.
        discard: whether to discard such a run, if that differs from `overwrite`.
        folder: keep the parts as the output instead of joining them.
        features: the file for features, which the plan names too, and its format; None: none.

    Raises:
        ScoreError: another run is writing it, it exists, there is an unfinished run with another
            plan or a folder of other files in its place, or it cannot be written.
    """
    store = _store(output, suffix=suffix, folder=folder, features=features)
    with opened_store(
        store, plan, overwrite=overwrite, discard=overwrite if discard is None else discard
    ) as ledger:
        yield ledger


def standing_plan(output: Path, *, suffix: str, folder: bool) -> dict[str, Any] | None:
    """Return the plan of the unfinished run of an output; None if there is none.

    The arguments are those of `open_ledger`. Another run may be writing it.

    Raises:
        ScoreError: it is damaged.
    """
    return _store(output, suffix=suffix, folder=folder).plan()


def _store(
    output: Path,
    *,
    suffix: str,
    folder: bool,
    features: tuple[Path, FeaturesFormat] | None = None,
) -> PartStore:
    store: PartStore | None = object_store(
        output, suffix=suffix, folder=folder, features_file=features and features[0]
    )
    if store is None:
        store = PosixStore(output, suffix=suffix, folder=folder, features=features)
    return store


@contextmanager
def opened_store(
    store: PartStore, plan: Mapping[str, Any], *, overwrite: bool, discard: bool
) -> Iterator[Ledger]:
    """Resume or begin a run in a store; the arguments are those of `open_ledger`.

    Raises:
        ScoreError: as for `open_ledger`.
    """
    ledger = Ledger(store)
    with ExitStack() as held:
        store.hold(held)
        try:
            ledger.begin(plan, overwrite=overwrite, discard=discard)
            yield ledger
        finally:
            store.leave()


def settle(output: Path, *, suffix: str, folder: bool) -> None:
    """Finish a run that was killed after its output was complete; the arguments are the ledger's.

    Raises:
        ScoreError: another run is writing the output, or it cannot be written.
    """
    if (work_folder(output) / "done.json").exists():
        store = PosixStore(output, suffix=suffix, folder=folder)
        with ExitStack() as held:
            store.hold(held)
            store.settle()
            store.leave()


class Ledger:
    """The parts of one output. Created by `open_ledger` only.

    Attributes:
        resumable: always: an unfinished run is resumed by the same call.
        records: records of the committed parts, by the number of the unit.
    """

    resumable: ClassVar[bool] = True

    def __init__(self, store: PartStore) -> None:
        self._store = store
        self.records: dict[int, UnitRecord] = {}

    def begin(self, plan: Mapping[str, Any], *, overwrite: bool, discard: bool) -> None:
        """Resume the unfinished run of this plan, or start one."""
        new = json.loads(json.dumps({"format": FORMAT_VERSION, **plan}))
        self._store.settle()
        old = self._store.plan()
        if old is not None and old != new:
            self._refuse_other(old, new, discard=discard)
            self._store.discard()
            old = None
        if old is None:
            self._store.refuse_existing(overwrite=overwrite)
            self._store.begin(new)
            standing = self._store.plan()  # of several processes, another one may have been faster
            if standing != new:
                self._refuse_other(standing or {}, new, discard=False)
        self.records = self._store.records()

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
        """Store the part of one unit durably.

        Args:
            number: number of the unit.
            record: record of the part.
            write: writes its rows.
            bad_records: its bad inputs, stored in the file that `Ledger.bad_records` returns.
            stamps: stored beside its record, for `Ledger.stamps`.
            rows: has its features, if there is a file for them.

        Raises:
            ScoreError: it cannot be written; the parts before it are kept.
        """
        self.records[number] = self._store.commit(
            number, record, write, bad_records=bad_records, stamps=stamps, rows=rows
        )

    def bad_records(self, number: int) -> Path:
        """Return the file that lists the bad inputs of a committed unit; missing if it has none."""
        return self._store.bad_records(number)

    def stamps(self, units: int) -> bytes:
        """Return the stamps of the committed units one after the other."""
        return self._store.stamps(units)

    def start(self, record: bytes) -> None:
        """Store what is known of an unfinished run, for those who read its parts."""
        self._store.start(record)

    def merge(
        self,
        units: int,
        write: Join,
        *,
        record: Callable[[int], bytes] | None = None,
        files: bytes | None = None,
    ) -> None:
        """Join the parts in the order of their units to the output, and remove the work folder.

        Args:
            units: number of units; all must have been committed.
            write: writes the output, given the parts in order; not called for a folder of parts.
            record: returns the record, given the size of the output in bytes; None: no record.
            files: the stamps of the images; None: no stamps.

        Raises:
            ScoreError: it cannot be written; the parts are kept.
        """
        if self.records.keys() != set(range(units)):
            raise RuntimeError(f"{units} units, but parts {sorted(self.records)[:20]}...")
        self._store.publish(units, write, record=record, files=files)

    @property
    def features_bytes(self) -> int | None:
        """Size of the joined features, for the record; None: there are none."""
        return self._store.features_bytes

    def discard(self) -> None:
        """Remove the work folder of a run without rows."""
        self._store.discard()

    def _refuse_other(
        self, old: Mapping[str, Any], new: Mapping[str, Any], *, discard: bool
    ) -> None:
        place = self._store.place
        if old.get(PARTS) != new.get(PARTS):
            which = "by" if PARTS in old else "without"
            cure = f"'vocscore merge {quote(place)}'" if PARTS in old else "its own command"
            raise ScoreError(
                f"{place}: there is an unfinished run {which} jobs of their own (`units`). Finish "
                f"it with {cure}; or choose another `output`."
            )
        if not discard:
            found = ", ".join(differences(old, new))
            raise ScoreError(
                f"{place}: there is an unfinished run that differs in {found}. {self._store.cure}"
            )
