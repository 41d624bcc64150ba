"""The file of features beside an output: its parts in the work folder, its name, its place.

The parts are `features-000000.npy` (or `.parquet`), one per unit, written before the unit's mark.
They are joined to `features.npy` in the work folder, which is moved to its own name immediately
before the output. So it appears as a whole, and a run killed between the two is finished by the
next call for the same output.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final, Protocol

from shards import atomic
from shards.files import open_binary, read_regular
from vocscore.config.scoring import FEATURES_SUFFIXES
from vocscore.errors import ScoreError
from vocscore.records.input_stamps import stamps_file
from vocscore.records.score_record import record_file

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from vocscore.records.score_record import ScoreRecord
    from vocscore.scoring.output.rows import Rows

KEY: Final = "features"
"""In the plan's 'output' and in the record's: 'path' and 'dtype' of the features."""
BYTES: Final = "features_bytes"
"""In the record's 'output', and in the mark of a part: the size of the file."""


class FeaturesFormat(Protocol):
    """Writes features, one row per row of the predictions."""

    suffix: str

    def write(self, file: BinaryIO, rows: Rows) -> None:
        """Write the part of one unit."""

    def join(self, file: BinaryIO, parts: Iterable[Path]) -> None:
        """Write the whole file, given the parts in order."""


class FeaturesParts:
    """The parts of the features in the work folder of an output.

    Args:
        work: the work folder.
        form: writes parts and joins them.
    """

    def __init__(self, work: Path, form: FeaturesFormat) -> None:
        self._work = work
        self._form = form
        self._joined = work / f"{KEY}{form.suffix}"

    def write(self, number: int, rows: Rows) -> int:
        """Write the part of one unit durably; return its size in bytes.

        Raises:
            OSError: it cannot be written.
            ScoreError: a feature is too large for its type.
        """
        part = self._part(number)
        with atomic.replacing(part) as file:
            self._form.write(file, rows)
        return part.stat().st_size

    def has(self, number: int, size: int | None) -> bool:
        """Whether the part of a unit is there, with the size that its mark says."""
        try:
            return self._part(number).stat().st_size == size
        except FileNotFoundError:
            return False

    def join(self, units: int) -> None:
        """Join the parts of all units.

        Raises:
            OSError: it cannot be written; the parts are kept.
        """
        with atomic.replacing(self._joined) as file:
            self._form.join(file, [self._part(number) for number in range(units)])

    @property
    def joined_bytes(self) -> int:
        """Size of the joined file."""
        return self._joined.stat().st_size

    def _part(self, number: int) -> Path:
        return self._work / f"{KEY}-{number:06d}{self._form.suffix}"


def place(work: Path, output: Path, done: Path) -> None:
    """Move the joined features to their name; can be repeated after a crash.

    Args:
        work: the work folder.
        output: the output.
        done: the file with the plan.

    Raises:
        OSError: they cannot be moved.
    """
    found = [work / f"{KEY}{suffix}" for suffix in FEATURES_SUFFIXES]
    for joined in (file for file in found if file.exists()):
        told = json.loads(read_regular(done)).get("output", {}).get(KEY)
        if told is None:
            return
        file = output.absolute().parent / told["path"]
        file.parent.mkdir(parents=True, exist_ok=True)
        _move(joined, file)


def _move(joined: Path, file: Path) -> None:
    """Move a file, also to another file system; its name is complete or absent."""
    try:
        atomic.move(joined, file)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        with open_binary(joined) as source, atomic.replacing(file) as copy:
            shutil.copyfileobj(source, copy, 1 << 20)
        joined.unlink()


def facts(file: Path | None, output: Path, *, dtype: str) -> dict[str, Any]:
    """What the plan and the record say of the features: nothing if there are none.

    Args:
        file: for the features.
        output: for the predictions. The path is relative to its folder if it is inside, so that
            both may be moved.
        dtype: of the features.
    """
    if file is None:
        return {}
    path, folder = file.absolute(), output.absolute().parent
    inside = path.is_relative_to(folder) and ".." not in path.parts
    return {KEY: {"path": str(path.relative_to(folder) if inside else path), "dtype": dtype}}


def check_file(file: Path, output: Path) -> None:
    """Check that features can be written to a file, before anything is scored.

    Raises:
        ScoreError: it is a folder, another file of the output, or inside the output; or its folder
            cannot be created.
    """
    here, there = Path(os.path.realpath(file)), Path(os.path.realpath(output))
    others = {there, record_file(there), stamps_file(there)}
    work = there.with_name(f"{there.name}.parts")
    if here in others or there in here.parents or work in here.parents:
        raise ScoreError(f"{file}: belongs to the predictions {output}. Choose another `features`.")
    if file.is_dir():
        raise ScoreError(f"{file}: a folder. Name a file with `features`.")
    if file.exists() and not file.is_file():
        raise ScoreError(f"{file}: not a file. Choose another `features`.")
    try:
        file.absolute().parent.mkdir(parents=True, exist_ok=True)
        atomic.write(file.with_name(f".{file.name}.try"), b"")
        file.with_name(f".{file.name}.try").unlink()
    except OSError as error:
        raise ScoreError(
            f"{file}: cannot be written: {str(error.strerror).lower()}. Choose another `features`."
        ) from error


def refuse_existing_features(file: Path, *, overwrite: bool) -> None:
    """Raise if the file exists and must not be replaced.

    Raises:
        ScoreError: it does.
    """
    if file.exists() and not overwrite:
        raise ScoreError(
            f"{file}: already exists. Use `overwrite=True` to replace it, or choose another file "
            "with `features`."
        )


def refuse_lost(output: Path, record: ScoreRecord) -> None:
    """Refuse a finished output whose features are not as they were written.

    Raises:
        ScoreError: they are missing, or have another size.
    """
    told: Mapping[str, Any] | None = record.output.get(KEY)
    if told is None:
        return
    file = output.absolute().parent / told["path"]
    if not file.is_file() or file.stat().st_size != record.output.get(BYTES):
        what = "has another size than" if file.is_file() else "is missing, though it is named in"
        raise ScoreError(
            f"{file}: {what} the record of {output}. Use `overwrite=True` to score again."
        )


def without_features(output: Mapping[str, Any]) -> dict[str, Any]:
    """The output of a record for a copy of its rows, which has no features of its own."""
    return {name: value for name, value in output.items() if name not in (KEY, BYTES)}
