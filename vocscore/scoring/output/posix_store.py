"""Stores the parts of one process on a file system.

Beside an unfinished output there is a folder `<output>.parts`:

    lock             held by the process that scores
    plan.json        source and settings; parts of another plan are not mixed in
    part-000000.csv  the rows of unit 0
    bad-000000.jsonl its bad inputs, if any, for the quarantine
    features-000000.npy  its features, if asked for (`features_parts`)
    part-000000.json its counts; written after the rows, so it marks them as complete
    started.json     the record as far as it is known at the start, for readers of the parts

and at the end the files of `publication`. If the output is a folder (`part_folder`), its parts are
in `rows/`.

Every file is written under a temporary name, synced to the disk and renamed. So a run that is
killed at any moment leaves only complete parts; the next run with the same plan resumes from them,
and the output appears under its name when it is complete.
"""

from __future__ import annotations

import json
import re
from base64 import b64decode, b64encode
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, Any, BinaryIO

from shards import atomic
from shards.files import read_regular
from vocscore.errors import ScoreError
from vocscore.records.score_record import STARTED
from vocscore.scoring.output import features_parts, part_folder
from vocscore.scoring.output.existing import refuse_existing
from vocscore.scoring.output.features_parts import FeaturesParts, refuse_existing_features
from vocscore.scoring.output.marks import is_ours
from vocscore.scoring.output.publication import Publication
from vocscore.scoring.output.unit_record import UnitRecord
from vocscore.scoring.output.work_folder import work_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from vocscore.scoring.output.features_parts import FeaturesFormat
    from vocscore.scoring.output.part_store import Join
    from vocscore.scoring.output.rows import Rows

_OURS = re.compile(
    r"((part|bad|features)-\d{6,}|plan|done|merged|record|started|files|features)\.[a-z]+"
)
_MARK = re.compile(r"part-(\d{6,})\.json")


class PosixStore:
    """A `PartStore` in a folder beside the output, for one process at a time.

    Args:
        output: the future file or folder.
        suffix: suffix of the parts.
        folder: keep the parts as the output instead of joining them.
        features: the file for features and its format; None: none.
    """

    cure = (
        "Use `overwrite=True` to discard it and start over, or choose another file with `output`."
    )

    def __init__(
        self,
        output: Path,
        *,
        suffix: str,
        folder: bool,
        features: tuple[Path, FeaturesFormat] | None = None,
    ) -> None:
        self.place = str(output)
        self._output = output
        self._suffix = suffix
        self._folder = folder
        self._work = work_folder(output)
        self._publication = Publication(self._work, output, suffix=suffix, folder=folder)
        self._parts = self._publication.rows if folder else self._work
        self._features_file = None if features is None else features[0]
        self._features = None if features is None else FeaturesParts(self._work, features[1])

    def hold(self, held: ExitStack) -> None:
        """Create the work folder and hold its lock until `held` is closed."""
        while True:
            with self._writing():
                self._work.mkdir(parents=True, exist_ok=True)
                try:
                    held.enter_context(atomic.exclusive(self._work / "lock", required=True))
                except FileNotFoundError:
                    continue  # a run that has just ended removed the folder
                except BlockingIOError as error:
                    raise ScoreError(
                        f"{self._output}: another run is writing it. Wait until it has finished, "
                        "or choose another file with `output`."
                    ) from error
                except atomic.NoLocksError as error:
                    raise ScoreError(
                        f"{self._work}: its file system has no locks "
                        f"({str(error.strerror).lower()}), so a second run could not be kept away. "
                        "Choose an `output` on another file system, or use `units='1/1'` and then "
                        "'vocscore merge', which need none."
                    ) from error
            return

    def settle(self) -> None:
        """Move what a killed run had completed, if so, and remove its work folder."""
        with self._writing():
            if self._publication.done.exists():
                self._publication.finish()
                self._remove()

    def refuse_existing(self, *, overwrite: bool) -> None:
        """Raise if the output or the file of features must not be replaced."""
        refuse_existing(self._output, overwrite=overwrite, folder=self._folder)
        if self._features_file is not None:
            refuse_existing_features(self._features_file, overwrite=overwrite)

    def plan(self) -> dict[str, Any] | None:
        """Read the plan of the unfinished run."""
        with self._writing():
            try:
                plan = json.loads(read_regular(self._publication.plan))
            except FileNotFoundError:
                return None
            except ValueError:
                plan = None
        if not isinstance(plan, dict):
            raise ScoreError(
                f"{self._publication.plan}: damaged, so the run cannot be resumed. Remove "
                f"{self._work} to start over, or choose another file with `output`."
            )
        return plan

    def begin(self, plan: Mapping[str, Any]) -> None:
        """Store the plan of a new run."""
        with self._writing():
            expected = {"lock", self._publication.plan.name}
            names = (path.name for path in self._work.iterdir())
            others = sorted(name for name in names if atomic.final_name(name) not in expected)
            if others:
                raise ScoreError(
                    f"{self._work}: needed for the parts of this run, but it contains "
                    f"{others[0]}. Move it away, or choose another file with `output`."
                )
            atomic.write(self._publication.plan, json.dumps(plan, indent=1).encode("ascii"))

    def records(self) -> dict[int, UnitRecord]:
        """Read the records of the complete parts."""
        with self._writing():
            self._parts.mkdir(exist_ok=True)
            self._remove_temporary()
            marks = ((path, _MARK.fullmatch(path.name)) for path in self._work.iterdir())
            found = {int(mark[1]): self._read_record(path) for path, mark in marks if mark}
        return {number: record for number, record in found.items() if record is not None}

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
        """Store the part of one unit, then its mark."""
        part = self._part(number)
        with self._writing():
            with atomic.replacing(part) as file:
                write(file)
            if bad_records:
                atomic.write(self.bad_records(number), bad_records)
            else:  # a run killed before it marked the part may have left such a file
                self.bad_records(number).unlink(missing_ok=True)
            kept = {"bytes": part.stat().st_size, **record.to_json()}
            if self._features is not None and rows is not None:
                kept[features_parts.BYTES] = self._features.write(number, rows)
            if stamps:
                kept["stamps"] = b64encode(stamps).decode("ascii")
            mark = self._work / f"{part.stem}.json"
            atomic.write(mark, json.dumps(kept).encode("ascii"))
        return record

    def bad_records(self, number: int) -> Path:
        """Return the file that lists the bad inputs of a committed unit."""
        return self._work / f"bad-{number:06d}.jsonl"

    def stamps(self, units: int) -> bytes:
        """Return the stamps in the marks."""
        marks = (self._part(number).stem for number in range(units))
        kept = (json.loads(read_regular(self._work / f"{stem}.json")) for stem in marks)
        return b"".join(b64decode(mark.get("stamps", "")) for mark in kept)

    def start(self, record: bytes) -> None:
        """Store what is known of an unfinished run."""
        with self._writing():
            atomic.write(self._work / STARTED, record)

    def publish(
        self,
        units: int,
        write: Join,
        *,
        record: Callable[[int], bytes] | None,
        files: bytes | None,
    ) -> None:
        """Join the parts, move the output to its name, and remove the work folder."""
        features = self._features
        with self._writing():
            self._publication.write(
                lambda: map(self._part, range(units)),
                write,
                join_features=lambda: None if features is None else features.join(units),
                record=record,
                files=files,
            )
            self._publication.finish()
        with suppress(OSError):  # the rest is removed when the name is used again
            self._remove()

    @property
    def features_bytes(self) -> int | None:
        """Size of the joined features."""
        return None if self._features is None else self._features.joined_bytes

    def discard(self) -> None:
        """Remove the files of the unfinished run."""
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
        """Remove the store's files, the plan last: a run killed meanwhile is still recognized."""
        for folder in (self._publication.rows, self._work / "replaced"):
            part_folder.remove(folder)
        names = [path.name for path in self._work.iterdir()]
        last = (self._publication.plan.name, self._publication.done.name)
        for name in sorted(names, key=lambda name: name in last):
            final = atomic.final_name(name)
            if _OURS.fullmatch(final) or is_ours(final):
                (self._work / name).unlink()

    def _remove_temporary(self) -> None:
        """Remove what runs killed on any machine were writing: this one holds the lock."""
        for folder in {self._work, self._parts}:
            for path in atomic.unfinished(folder):
                if _OURS.fullmatch(atomic.final_name(path.name)):
                    path.unlink()

    def _read_record(self, mark: Path) -> UnitRecord | None:
        """Return the record of a complete part; None for an incomplete one, which is rescored."""
        try:
            kept = json.loads(read_regular(mark))
            if (self._parts / f"{mark.stem}{self._suffix}").stat().st_size != kept["bytes"]:
                return None
            number = int(mark.stem.removeprefix("part-"))
            if self._features and not self._features.has(number, kept.get(features_parts.BYTES)):
                return None
            return UnitRecord.from_json(kept)
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None
