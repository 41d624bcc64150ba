"""Records what a packing run has finished, so that the next run can resume.

While a set is being packed, it contains a folder `.progress`:

    lock           held by the packing process
    plan.json      what is being packed; another plan is never mixed in
    journal.jsonl  one line per finished shard
    replaced.json  the manifest of the set that `--overwrite` is removing
    *.tar *.idx    shards being written

and, while several processes pack (`units_run`):

    checked.jsonl  what was found out about each image
    made-*         bytes made of images, until their shards are finished
    shard-*/       shards being written

`dataset.json` is written once every shard is in the journal; then `.progress` is removed. So a set
with `dataset.json` is complete, whatever else is there, and one without it is unfinished.
"""

from __future__ import annotations

import json
import os
import shutil
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final

from shards import atomic
from shards.errors import DamageError, Fault, PackError, Reason
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
CHECKED: Final = "checked.jsonl"
MADE: Final = "made-"
STAGED: Final = "shard-"


@dataclass(frozen=True, slots=True)
class ShardRecord:
    """One finished shard.

    Attributes:
        split: its split.
        shard: the tar.
        next: index, from 0, of the split's candidate that begins the next shard.
        rejected: images left out since the previous shard.
    """

    split: str
    shard: Shard
    next: int
    rejected: tuple[Rejection, ...]


def count_finished(folder: Path) -> int:
    """Count the finished shards of an unfinished set, without locking it; 0 if there is none."""
    try:
        return read_regular(folder / UNFINISHED / _JOURNAL).count(b"\n")
    except OSError:
        return 0


@contextmanager
def packing(folder: Path) -> Iterator[Journal]:
    """Lock the folder of a set against other processes while it is being packed.

    Raises:
        BlockingIOError: another process holds the lock.
        OSError: the folder cannot be created or written to.
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
    """The `.progress` of a set. Created only by `packing`.

    Attributes:
        stage: the folder for shards that are being written.
        records: the finished shards, in order.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.stage = folder / UNFINISHED
        self._plan = self.stage / "plan.json"
        self._file = self.stage / _JOURNAL
        self._replaced = self.stage / "replaced.json"
        self.records: list[ShardRecord] = []

    def begin(self, plan: Plan, *, overwrite: bool) -> None:
        """Resume the unfinished set of this plan, or start a new one.

        Args:
            plan: what to pack.
            overwrite: remove the existing set, if it is finished or has another plan.

        Raises:
            PackError: a set with another plan or unrelated files are in the way.
            DamageError: the set to overwrite cannot be distinguished from unrelated files.
        """
        if overwrite and (self._folder / NAME).exists():
            self._check_replaceable()
            (self._folder / NAME).replace(self._replaced)
            atomic.sync_folder(self._folder)
        self._remove_temporary()
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
        """Durably record that a shard is finished and has its final name."""
        line = _line(record)
        with self._file.open("ab") as file:
            file.write(line)
            file.flush()
            os.fsync(file.fileno())
        self.records.append(record)

    def end(self) -> None:
        """Remove everything in `.progress`: the set is complete without it."""
        self._remove_staged()
        for path in (self.stage / CHECKED, self._file, self._plan):
            path.unlink(missing_ok=True)

    def leave(self) -> None:
        """Remove the lock if there is nothing to resume: the set is complete or not started."""
        if not self._plan.exists() and not self._replaced.exists():
            (self.stage / _LOCK).unlink(missing_ok=True)

    def _remove_temporary(self) -> None:
        """Remove what killed runs, here or on another machine, were writing."""
        ours = {NAME, REJECTED, self._plan.name, self._file.name}
        for path in (*atomic.unfinished(self.stage), *atomic.unfinished(self._folder)):
            if atomic.final_name(path.name) in ours:
                path.unlink(missing_ok=True)

    def _check_replaceable(self) -> None:
        """Raise before anything is moved if `dataset.json` does not identify our files."""
        _names(self._folder / NAME)

    def _remove_replaced(self) -> None:
        """Remove the set being overwritten; this also resumes a removal that was interrupted."""
        if self._replaced.exists():
            self._remove(_names(self._replaced))
            self._replaced.unlink()

    def _remove_unfinished(self, old: Plan, difference: str, *, overwrite: bool) -> None:
        if not overwrite:
            raise PackError(
                f"{self._folder}: contains an unfinished set, started with {difference}. "
                "Use `overwrite=True` to start over, or choose another folder with `output`."
            )
        # Every file with such a name is ours: others were refused before the plan was written.
        self._remove(_shard_files(self._folder, old.splits))
        for path in (self.stage / CHECKED, self._file, self._plan):
            path.unlink(missing_ok=True)

    def _remove(self, names: Collection[str]) -> None:
        for name in (*names, REJECTED):
            (self._folder / name).unlink(missing_ok=True)

    def _remove_staged(self) -> None:
        for name in _shard_files(self.stage, None):
            (self.stage / name).unlink(missing_ok=True)
        self.remove_of_workers()

    def remove_of_workers(self, *, kept: Collection[str] = ()) -> None:
        """Remove what workers have written into the stage, but for the files to be kept."""
        for path in self.stage.iterdir():
            if path.name.startswith(MADE) and path.name not in kept:
                path.unlink(missing_ok=True)
            elif path.name.startswith(STAGED):
                shutil.rmtree(path, ignore_errors=True)

    def _refuse_strangers(self, splits: Collection[str]) -> None:
        found = _shard_files(self._folder, splits)
        if (self._folder / REJECTED).exists():
            found.append(REJECTED)
        if found:
            raise PackError(
                f"{self._folder / found[0]} already exists and is not part of a set packed here. "
                "Choose another folder with `output`, or move it away."
            )

    def _read_plan(self) -> Plan | None:
        try:
            return Plan.from_json(read_regular(self._plan))
        except FileNotFoundError:
            return None
        except (ValueError, TypeError, KeyError) as error:
            raise DamageError(
                f"{self._plan}: damaged ({error}), so packing cannot resume. Choose another folder "
                "with `output`."
            ) from error

    def _read_records(self) -> list[ShardRecord]:
        """The finished shards that still exist; shards after a gap are packed again."""
        lines = read_regular(self._file).split(b"\n") if self._file.exists() else []
        records: list[ShardRecord] = []
        for line in lines[:-1]:  # the last one is empty, or truncated when the run died
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


def _line(record: ShardRecord) -> bytes:
    """One line of the journal, which `_parse_record` reads."""
    rejected = [{"path": bad.path, **asdict(bad.fault)} for bad in record.rejected]
    return json.dumps({**asdict(record), "rejected": rejected}).encode("ascii") + b"\n"


def _parse_record(line: bytes) -> ShardRecord | None:
    """Parse one line of the journal; None if it is damaged."""
    try:
        value = json.loads(line)
        rejected = tuple(
            Rejection(bad["path"], Fault(Reason(bad["reason"]), bad["detail"]))
            for bad in value["rejected"]
        )
        return ShardRecord(value["split"], parse_shard(value["shard"]), value["next"], rejected)
    except (ValueError, TypeError, KeyError):
        return None


def _shard_files(folder: Path, splits: Collection[str] | None) -> list[str]:
    """Names of shards and indexes (of these splits) in a folder, sorted."""
    found = ((path.name, split_of(path.name)) for path in folder.iterdir())
    return sorted(name for name, split in found if split and (splits is None or split in splits))


def _names(manifest: Path) -> list[str]:
    """The files of a finished set, from its manifest."""
    try:
        shards = parse_manifest(json.loads(read_regular(manifest))).shards()
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise DamageError(
            f"{manifest}: damaged ({error}), so its shards cannot be told from other files. "
            "Remove the set by hand, or choose another folder with `output`."
        ) from error
    return [name for shard in shards for name in (shard.name, index_name(shard.name))]
