"""What a run of packing has finished, kept so that the next run can go on.

While a set is being packed, a folder `.progress` stands in it:

    lock           held by the process that packs
    plan.json      what is being packed; another plan is not mixed in
    journal.jsonl  a line for each finished shard
    replaced.json  the manifest of the set that `--overwrite` is removing
    *.tar *.idx    shards that are being written

`dataset.json` is written when every shard is in the journal, and `.progress` goes after it. So a
set with `dataset.json` is whole, whatever else stands there, and one without is unfinished.
"""

from __future__ import annotations

import json
import os
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final

from shards import atomic
from shards.errors import DamageError, PackError, Reason
from shards.files import read_regular
from shards.manifest import (
    NAME,
    UNFINISHED,
    Shard,
    index_name,
    parse_manifest,
    parse_shard,
    split_of,
)
from shards.packing.plan import Plan
from shards.packing.rejected import REJECTED
from shards.sample import Rejection

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

_LOCK: Final = "lock"
_JOURNAL: Final = "journal.jsonl"


@dataclass(frozen=True, slots=True)
class ShardRecord:
    """One finished shard.

    Attributes:
        split: its split.
        shard: the tar.
        next: the candidate of the split, counted from 0, that the next shard begins with.
        rejected: images left out since the shard before.
    """

    split: str
    shard: Shard
    next: int
    rejected: tuple[Rejection, ...]


def count_finished(folder: Path) -> int:
    """Count the shards that an unfinished set has, without holding it; 0 where there is none."""
    try:
        return read_regular(folder / UNFINISHED / _JOURNAL).count(b"\n")
    except OSError:
        return 0


@contextmanager
def packing(folder: Path) -> Iterator[Journal]:
    """Hold the folder of a set while it is being packed; no other process can.

    Raises:
        BlockingIOError: another process does.
        OSError: the folder cannot be made or written to.
    """
    progress = folder / UNFINISHED
    progress.mkdir(parents=True, exist_ok=True)
    try:
        with atomic.exclusive(progress / _LOCK):
            journal = Journal(folder)
            try:
                yield journal
            finally:
                journal.leave()
    finally:
        with suppress(OSError):  # not empty: unfinished
            progress.rmdir()


class Journal:
    """The `.progress` of a set. Made by `packing` only.

    Attributes:
        stage: the folder for shards that are being written.
        records: of the finished shards, in order.
    """

    def __init__(self, folder: Path) -> None:
        """Look at nothing yet."""
        self._folder = folder
        self.stage = folder / UNFINISHED
        self._plan = self.stage / "plan.json"
        self._file = self.stage / _JOURNAL
        self._replaced = self.stage / "replaced.json"
        self.records: list[ShardRecord] = []

    def begin(self, plan: Plan, *, overwrite: bool) -> None:
        """Take up the unfinished set of this plan, or start one.

        Args:
            plan: what is to be packed.
            overwrite: remove the set that is there, if it is finished or of another plan.

        Raises:
            PackError: a set of another plan or files of other people are in the way.
            DamageError: the set to overwrite cannot be told from other people's files.
        """
        if overwrite and (self._folder / NAME).exists():
            self._check_replaceable()
            (self._folder / NAME).replace(self._replaced)
            atomic.sync_folder(self._folder)
        self._remove_replaced()
        old = self._read_plan()
        if old is not None and (difference := plan.differs(old)):
            self._remove_unfinished(old, difference, overwrite=overwrite)
            old = None
        if old is None:
            self._refuse_strangers(plan.splits)
            atomic.write(self._plan, plan.to_json())
        self.records = self._read_records()

    def append(self, record: ShardRecord) -> None:
        """Note, durably, that a shard is finished and under its name."""
        line = json.dumps(asdict(record)).encode("ascii") + b"\n"
        with self._file.open("ab") as file:
            file.write(line)
            file.flush()
            os.fsync(file.fileno())
        self.records.append(record)

    def end(self) -> None:
        """Remove everything in `.progress`: the set is whole without it."""
        self._remove_staged()
        for path in (self._file, self._plan):
            path.unlink(missing_ok=True)

    def leave(self) -> None:
        """Remove the lock where there is nothing to go on with: the set is whole, or not begun."""
        if not self._plan.exists() and not self._replaced.exists():
            (self.stage / _LOCK).unlink(missing_ok=True)

    def _check_replaceable(self) -> None:
        """Raise before anything is moved where `dataset.json` does not tell what is ours."""
        _names(self._folder / NAME)

    def _remove_replaced(self) -> None:
        """Remove the set that is being overwritten; a run killed in between goes on here."""
        if self._replaced.exists():
            self._remove(_names(self._replaced))
            self._replaced.unlink()

    def _remove_unfinished(self, old: Plan, difference: str, *, overwrite: bool) -> None:
        if not overwrite:
            raise PackError(
                f"{self._folder}: contains an unfinished set, started with {difference}. "
                "Use --overwrite to start over, or choose another folder with -o."
            )
        # Every file of such a name is ours: others were refused before the plan was written.
        self._remove(_shard_files(self._folder, old.splits))
        for path in (self._file, self._plan):
            path.unlink(missing_ok=True)

    def _remove(self, names: Collection[str]) -> None:
        for name in (*names, REJECTED):
            (self._folder / name).unlink(missing_ok=True)

    def _remove_staged(self) -> None:
        for name in _shard_files(self.stage, None):
            (self.stage / name).unlink(missing_ok=True)

    def _refuse_strangers(self, splits: Collection[str]) -> None:
        found = _shard_files(self._folder, splits)
        if (self._folder / REJECTED).exists():
            found.append(REJECTED)
        if found:
            raise PackError(
                f"{self._folder / found[0]} already exists and is not part of a set packed here. "
                "Choose another folder with -o, or move it away."
            )

    def _read_plan(self) -> Plan | None:
        try:
            return Plan.from_json(read_regular(self._plan))
        except FileNotFoundError:
            return None
        except (ValueError, TypeError, KeyError) as error:
            raise DamageError(
                f"{self._plan}: damaged ({error}), so packing cannot resume. Choose another folder "
                "with -o."
            ) from error

    def _read_records(self) -> list[ShardRecord]:
        """The finished shards that are still there; what follows a gap is packed again."""
        lines = read_regular(self._file).split(b"\n") if self._file.exists() else []
        records: list[ShardRecord] = []
        for line in lines[:-1]:  # the last one is empty, or was cut short when the run died
            record = _parse_record(line)
            if record is None or not self._stands(record.shard):
                break
            records.append(record)
        kept = lines[: len(records)]
        if len(kept) != len(lines) - 1:
            atomic.write(self._file, b"\n".join((*kept, b"")))
        return records

    def _stands(self, shard: Shard) -> bool:
        try:
            size = (self._folder / shard.name).stat().st_size
        except FileNotFoundError:
            return False
        return size == shard.bytes and (self._folder / index_name(shard.name)).exists()


def _parse_record(line: bytes) -> ShardRecord | None:
    """Read one line of the journal; None where it is damaged."""
    try:
        value = json.loads(line)
        rejected = tuple(
            Rejection(bad["path"], Reason(bad["reason"]), bad["detail"])
            for bad in value["rejected"]
        )
        return ShardRecord(value["split"], parse_shard(value["shard"]), value["next"], rejected)
    except (ValueError, TypeError, KeyError):
        return None


def _shard_files(folder: Path, splits: Collection[str] | None) -> list[str]:
    """Names in a folder that are those of shards and indexes (of these splits), sorted."""
    found = ((path.name, split_of(path.name)) for path in folder.iterdir())
    return sorted(name for name, split in found if split and (splits is None or split in splits))


def _names(manifest: Path) -> list[str]:
    """The files of a finished set, from its manifest."""
    try:
        shards = parse_manifest(json.loads(read_regular(manifest))).shards()
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise DamageError(
            f"{manifest}: damaged ({error}), so its shards cannot be told from other files. "
            "Remove the set by hand, or choose another folder with -o."
        ) from error
    return [name for shard in shards for name in (shard.name, index_name(shard.name))]
