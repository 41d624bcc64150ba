"""Keeps track of the parts of an output: commits, resume, merge.

Beside an unfinished output there is a folder `<output>.parts`:

    lock             held by the process that scores
    plan.json        source and settings; parts of another plan are not mixed in
    part-000000.csv  the rows of unit 0
    bad-000000.jsonl its bad inputs, if any, for the quarantine
    features-000000.npy  its features, if asked for (`features_parts`)
    part-000000.json its counts; written after the rows, so it marks them as complete
    merged.csv       the parts being joined
    started.json     the record as far as it is known at the start, for readers of the parts
    files.npy        the future stamps of the images, `OUTPUT.files.npy` (`vocscore.records`)
    record.json      the future record of the output, `OUTPUT.json`, the same
    done.json        plan.json renamed: all of this is complete, and only has to be moved

If the output is a folder (`part_folder`), its parts are in `rows/`. As soon as `done.json` exists,
merged.csv or this folder is renamed to the output; an older folder is moved to `replaced/` first.
The stamps and the record are moved after the output, and those of an older output are removed
before the new output appears, so that they never describe other rows than those beside them.

Every file is written under a temporary name, synced to the disk and renamed. So a run that is
killed at any moment leaves only complete parts; the next run with the same plan resumes from them,
and the output appears under its name when it is complete.
"""

from __future__ import annotations

import json
import re
from base64 import b64decode, b64encode
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, BinaryIO, ClassVar

from shards import atomic
from shards.files import read_regular
from vocscore.errors import ScoreError
from vocscore.records.input_stamps import is_stamps, stamps_file
from vocscore.records.score_record import STARTED, is_record, record_file
from vocscore.scoring.output import features_parts, part_folder
from vocscore.scoring.output.differences import differences
from vocscore.scoring.output.features_parts import FeaturesParts, refuse_existing_features

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    from vocscore.scoring.output.features_parts import FeaturesFormat
    from vocscore.scoring.output.rows import Rows

FORMAT_VERSION = 1
_OURS = re.compile(
    r"\.?((part|bad|features)-\d{6,}|plan|done|merged|record|started|files|features)"
    r"\.[a-z]+(\.tmp)?"
)
_MARK = re.compile(r"part-(\d{6,})\.json")


@dataclass(frozen=True)
class UnitRecord:
    """What is stored about a part in addition to its rows.

    Attributes:
        rows: number of rows.
        errors: reason -> rows with that error.
        problems: damage that does not concern a single image, one line each.
        skipped: kind -> members of a tar that are not inputs.
    """

    rows: int
    errors: Mapping[str, int] = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    skipped: Mapping[str, int] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return plain values; without `skipped` if it is empty, as in marks of older versions."""
        value = asdict(self)
        return value if self.skipped else {k: v for k, v in value.items() if k != "skipped"}


def work_folder(output: Path) -> Path:
    """Return the folder beside an unfinished output."""
    return output.with_name(f"{output.name}.parts")


def refuse_existing(output: Path, *, overwrite: bool, folder: bool = False) -> None:
    """Raise if an output exists that must not be replaced.

    Args:
        output: path of the output.
        overwrite: whether an existing output may be replaced.
        folder: whether the output is a folder of parts.

    Raises:
        ScoreError: it exists and must not be overwritten, or cannot be; or another file has the
            name of its record.
    """
    beside = record_file(output)
    if (beside.exists() or beside.is_symlink()) and not is_record(beside):
        raise ScoreError(
            f"{beside}: not a record of predictions, but the record has to be written there. Move "
            "it away, or choose another output with -o."
        )
    if folder:
        part_folder.refuse_existing_folder(output, overwrite=overwrite)
        return
    if output.is_dir():
        raise ScoreError(f"{output}: a folder. Name a file with -o.")
    stamps = stamps_file(output)
    if (stamps.exists() or stamps.is_symlink()) and not is_stamps(stamps):
        raise ScoreError(
            f"{stamps}: not what is known of scored images, but that has to be written there. Move "
            "it away, or choose another output with -o."
        )
    if output.exists() and not overwrite:
        raise ScoreError(
            f"{output}: already exists. Use --overwrite to replace it, or choose another file "
            "with -o."
        )


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
    ledger = Ledger(output, suffix=suffix, folder=folder, features=features)
    with ExitStack() as held:
        ledger.lock(held)
        try:
            ledger.begin(
                plan, overwrite=overwrite, discard=overwrite if discard is None else discard
            )
            yield ledger
        finally:
            ledger.leave()


def settle(output: Path, *, suffix: str, folder: bool) -> None:
    """Finish a run that was killed after its output was complete; the arguments are the ledger's.

    Raises:
        ScoreError: another run is writing the output, or it cannot be written.
    """
    if (work_folder(output) / "done.json").exists():
        ledger = Ledger(output, suffix=suffix, folder=folder)
        with ExitStack() as held:
            ledger.lock(held)
            ledger.settle()
            ledger.leave()


class Ledger:
    """The parts of one output. Created by `open_ledger` only.

    Attributes:
        resumable: always: an unfinished run is resumed by the same call.
        records: records of the committed parts, by the number of the unit.
        features: the features of the units; None: none were asked for.
    """

    resumable: ClassVar[bool] = True

    def __init__(
        self,
        output: Path,
        *,
        suffix: str,
        folder: bool,
        features: tuple[Path, FeaturesFormat] | None = None,
    ) -> None:
        self._output = output
        self._suffix = suffix
        self._folder = folder
        self._work = work_folder(output)
        self._rows = self._work / "rows"
        self._parts = self._rows if folder else self._work
        self._plan = self._work / "plan.json"
        self._done = self._work / "done.json"
        self._record = self._work / "record.json"
        self._files = self._work / "files.npy"
        self._merged = self._work / f"merged{suffix}"
        self.records: dict[int, UnitRecord] = {}
        self._features_file = None if features is None else features[0]
        self.features = None if features is None else FeaturesParts(self._work, features[1])

    def lock(self, held: ExitStack) -> None:
        """Create the work folder and hold its lock until `held` is closed."""
        while True:
            with self._writing():
                self._work.mkdir(parents=True, exist_ok=True)
                try:
                    held.enter_context(atomic.exclusive(self._work / "lock"))
                except FileNotFoundError:
                    continue  # a run that has just ended removed the folder
                except BlockingIOError as error:
                    raise ScoreError(
                        f"{self._output}: another run is writing it. Wait until it has finished, "
                        "or choose another file with -o."
                    ) from error
            return

    def begin(self, plan: Mapping[str, Any], *, overwrite: bool, discard: bool) -> None:
        """Resume the unfinished run of this plan, or start one."""
        new = json.loads(json.dumps({"format": FORMAT_VERSION, **plan}))
        self.settle()
        with self._writing():
            old = self._read_plan()
            if old is not None and old != new:
                self._refuse_other(old, new, discard=discard)
                self._remove()
                old = None
            if old is None:
                self._refuse_other_files()
                refuse_existing(self._output, overwrite=overwrite, folder=self._folder)
                if self._features_file is not None:
                    refuse_existing_features(self._features_file, overwrite=overwrite)
                atomic.write(self._plan, json.dumps(new, indent=1).encode("ascii"))
            self._parts.mkdir(exist_ok=True)
            self.records = self._read_records()

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
            stamps: stored in the mark, for `Ledger.stamps`.
            rows: has its features, if there is a file for them.

        Raises:
            ScoreError: it cannot be written; the parts before it are kept.
        """
        part = self._part(number)
        with self._writing():
            with atomic.replacing(part) as file:
                write(file)
            if bad_records:
                atomic.write(self.bad_records(number), bad_records)
            else:  # a run killed before it marked the part may have left such a file
                self.bad_records(number).unlink(missing_ok=True)
            kept = {"bytes": part.stat().st_size, **record.to_json()}
            if self.features is not None and rows is not None:
                kept[features_parts.BYTES] = self.features.write(number, rows)
            if stamps:
                kept["stamps"] = b64encode(stamps).decode("ascii")
            mark = self._work / f"{part.stem}.json"
            atomic.write(mark, json.dumps(kept).encode("ascii"))
        self.records[number] = record

    def bad_records(self, number: int) -> Path:
        """Return the file that lists the bad inputs of a committed unit; missing if it has none."""
        return self._work / f"bad-{number:06d}.jsonl"

    def stamps(self, units: int) -> bytes:
        """Return the stamps of the committed units one after the other."""
        marks = (self._part(number).stem for number in range(units))
        kept = (json.loads(read_regular(self._work / f"{stem}.json")) for stem in marks)
        return b"".join(b64decode(mark.get("stamps", "")) for mark in kept)

    def start(self, record: bytes) -> None:
        """Store what is known of an unfinished run, for those who read its parts."""
        with self._writing():
            atomic.write(self._work / STARTED, record)

    def merge(
        self,
        units: int,
        write: Callable[[BinaryIO, Iterable[Path]], None],
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
        with self._writing():
            if not self._folder:
                with atomic.replacing(self._merged) as file:
                    write(file, map(self._part, range(units)))
            if self.features is not None:
                self.features.join(units)
            if files is None:
                self._files.unlink(missing_ok=True)
            else:
                atomic.write(self._files, files)
            if record is not None:
                rows = map(self._part, range(units)) if self._folder else [self._merged]
                atomic.write(self._record, record(sum(file.stat().st_size for file in rows)))
            else:
                self._record.unlink(missing_ok=True)
            # another file may have appeared meanwhile
            refuse_existing(self._output, overwrite=True, folder=self._folder)
            atomic.move(self._plan, self._done)
            self._finish()
        with suppress(OSError):  # the rest is removed when the name is used again
            self._remove()

    def settle(self) -> None:
        """Move what a killed run had completed, if so, and remove its work folder."""
        with self._writing():
            if self._done.exists():
                self._finish()
                self._remove()

    def _finish(self) -> None:
        """Move the output, its stamps and its record; can be repeated after a crash."""
        beside, stamps = record_file(self._output), stamps_file(self._output)
        if (self._rows if self._folder else self._merged).exists():
            if is_record(beside):
                beside.unlink()
            if is_stamps(stamps):
                stamps.unlink()
        features_parts.place(self._work, self._output, self._done)
        if self._folder:
            part_folder.place(self._rows, self._output, replaced=self._work / "replaced")
        elif self._merged.exists():
            atomic.move(self._merged, self._output)
        if self._files.exists() and (is_stamps(stamps) or not stamps.exists()):
            atomic.move(self._files, stamps)
        if self._record.exists() and (is_record(beside) or not beside.exists()):
            atomic.move(self._record, beside)

    def discard(self) -> None:
        """Remove the work folder of a run without rows."""
        with self._writing():
            self._remove()

    def leave(self) -> None:
        """Remove the work folder if it contains only the lock."""
        with suppress(OSError):
            if [path.name for path in self._work.iterdir()] == ["lock"]:
                (self._work / "lock").unlink()
                self._work.rmdir()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise ScoreError(
                f"{error.filename or self._work}: cannot be written: {str(error.strerror).lower()}."
                f" Finished units stay in {self._work.name}/. Make it writable or free some space, "
                "and rerun the same command to resume."
            ) from error

    def _part(self, number: int) -> Path:
        return self._parts / f"part-{number:06d}{self._suffix}"

    def _remove(self) -> None:
        """Remove the ledger's files, the plan last: a run killed meanwhile is still recognized."""
        for folder in (self._rows, self._work / "replaced"):
            part_folder.remove(folder)
        names = [path.name for path in self._work.iterdir() if _OURS.fullmatch(path.name)]
        for name in sorted(names, key=lambda name: name in (self._plan.name, self._done.name)):
            (self._work / name).unlink()

    def _refuse_other(
        self, old: Mapping[str, Any], new: Mapping[str, Any], *, discard: bool
    ) -> None:
        if not discard:
            found = ", ".join(differences(old, new))
            raise ScoreError(
                f"{self._output}: there is an unfinished run that differs in {found}. Use "
                "--overwrite to discard it and start over, or choose another file with -o."
            )

    def _refuse_other_files(self) -> None:
        expected = {"lock", atomic.temporary(self._plan).name}
        others = sorted(p.name for p in self._work.iterdir() if p.name not in expected)
        if others:
            raise ScoreError(
                f"{self._work}: needed for the parts of this run, but it contains {others[0]}. "
                "Move it away, or choose another file with -o."
            )

    def _read_plan(self) -> dict[str, Any] | None:
        try:
            plan = json.loads(read_regular(self._plan))
        except FileNotFoundError:
            return None
        except ValueError:
            plan = None
        if not isinstance(plan, dict):
            raise ScoreError(
                f"{self._plan}: damaged, so the run cannot be resumed. Remove {self._work} to "
                "start over, or choose another file with -o."
            )
        return plan

    def _read_records(self) -> dict[int, UnitRecord]:
        marks = ((path, _MARK.fullmatch(path.name)) for path in self._work.iterdir())
        found = {int(mark[1]): self._read_record(path) for path, mark in marks if mark}
        return {number: record for number, record in found.items() if record is not None}

    def _read_record(self, mark: Path) -> UnitRecord | None:
        """Return the record of a complete part; None for an incomplete one, which is rescored."""
        try:
            kept = json.loads(read_regular(mark))
            if (self._parts / f"{mark.stem}{self._suffix}").stat().st_size != kept["bytes"]:
                return None
            number = int(mark.stem.removeprefix("part-"))
            if self.features and not self.features.has(number, kept.get(features_parts.BYTES)):
                return None
            problems, skipped = tuple(kept["problems"]), kept.get("skipped", {})
            return UnitRecord(kept["rows"], kept["errors"], problems, skipped)
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None
