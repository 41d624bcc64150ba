"""Corrections of labels: a CSV file that people or the page of `vocscore view` write.

    path,class,value
    JPEGImages/2007_000027.jpg,person,0     the class is absent
    JPEGImages/2007_000032.jpg,bird,1       the class is present
    JPEGImages/2007_000033.jpg,car,-1       it is there, but only difficult instances
    JPEGImages/2007_000039.jpg,,drop        the image is left out
    JPEGImages/2007_000039.jpg,,keep        the image is not left out: takes 'drop' back

Paths are those of the packed set. A later line overrides an earlier one.
"""

from __future__ import annotations

import csv
import hashlib
import io
import os
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from shards.errors import LabelError
from shards.files import read_regular
from shards.paths import first_names, shown

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from shards.sample import Sample

COLUMNS: Final = ("path", "class", "value")
DROP, KEEP = "drop", "keep"
_VALUES: Final = {"1": 1, "0": 0, "-1": -1}


@dataclass(frozen=True)
class Corrections:
    """What a file corrects.

    Attributes:
        values: path -> class -> 1, 0 or -1.
        dropped: paths of images that are left out.
        sha256: of the file, hexadecimal.
    """

    values: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    dropped: frozenset[str] = frozenset()
    sha256: str = ""

    @property
    def paths(self) -> set[str]:
        """Every path that is corrected."""
        return {*self.values, *self.dropped}


@dataclass(frozen=True)
class Applied:
    """The result of corrections.

    Attributes:
        splits: split -> its samples, corrected, without those dropped.
        labels: number of labels that changed.
        dropped: number of images left out.
        unused: paths that are corrected and not in the set.
    """

    splits: Mapping[str, Sequence[Sample]]
    labels: int
    dropped: int
    unused: tuple[str, ...]


def read_corrections(file: Path) -> Corrections:
    """Read a file of corrections.

    Raises:
        LabelError: it cannot be read, or a line is not a correction.
    """
    try:
        data = read_regular(file)
    except OSError as error:
        raise LabelError(f"{file}: {str(error.strerror).lower()}.") from error
    text = data.decode("utf-8-sig", "surrogateescape")
    rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    values: dict[str, dict[str, int]] = {}
    dropped: set[str] = set()
    try:
        header = next(rows, [])
        if tuple(header) != COLUMNS:
            raise LabelError(
                f"{file}: the first line must be {','.join(COLUMNS)}; found "
                f"{shown(','.join(header)[:80])!r}."
            )
        for row in rows:
            if row:
                _take(row, values, dropped)
    except (csv.Error, ValueError) as error:
        raise LabelError(f"{file}, line {rows.line_num}: {error}.") from error
    return Corrections(values, frozenset(dropped), hashlib.sha256(data).hexdigest())


def _take(row: Sequence[str], values: dict[str, dict[str, int]], dropped: set[str]) -> None:
    """Take in a line.

    Raises:
        ValueError: it is not a correction.
    """
    if len(row) != len(COLUMNS):
        raise ValueError(f"{len(row)} columns instead of {len(COLUMNS)}")
    path, name, value = row
    if not path:
        raise ValueError("no path")
    if not name and value in (DROP, KEEP):
        (dropped.add if value == DROP else dropped.discard)(path)
    elif name and value in _VALUES:
        values.setdefault(path, {})[name] = _VALUES[value]
    else:
        raise ValueError(
            f"class {shown(name)!r} with value {shown(value)!r}; a correction is a class with 1, 0 "
            f"or -1, or no class with '{DROP}' or '{KEEP}'"
        )


def add_correction(file: Path, path: str, name: str, value: str) -> None:
    """Append a correction durably; the file is created if needed.

    Args:
        file: of corrections.
        path: of the image in the packed set.
        name: of the class; '' with 'drop' and 'keep'.
        value: '1', '0', '-1', 'drop' or 'keep'.

    Raises:
        OSError: it cannot be written.
    """
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerow((path, name, value))
    line = text.getvalue().encode("utf-8", "surrogateescape")
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
    with os.fdopen(descriptor, "r+b") as opened:
        size = opened.seek(0, os.SEEK_END)
        if not size:
            line = f"{','.join(COLUMNS)}\n".encode() + line
        elif _last_byte(opened.fileno(), size) != b"\n":  # an editor left the last line open
            line = b"\n" + line
        opened.write(line)
        opened.flush()
        os.fsync(opened.fileno())


def _last_byte(descriptor: int, size: int) -> bytes:
    return os.pread(descriptor, 1, size - 1)


def apply_corrections(
    splits: Mapping[str, Sequence[Sample]], corrections: Corrections, *, classes: Sequence[str]
) -> Applied:
    """Apply corrections to the samples of splits, which stay in their splits.

    Args:
        splits: split -> its samples.
        corrections: to apply.
        classes: of the set.

    Raises:
        LabelError: a correction has another class.
    """
    named = {name for values in corrections.values.values() for name in values}
    foreign = sorted(named - set(classes))
    if foreign:
        raise LabelError(
            f"the corrections name {first_names(foreign)}, which is no class of the set "
            f"({first_names(classes, most=20)})."
        )
    found: dict[str, list[Sample]] = {}
    changed = dropped = 0
    seen: set[str] = set()
    for split, samples in splits.items():
        found[split] = []
        for sample in samples:
            seen.add(sample.path)
            if sample.path in corrections.dropped:
                dropped += 1
                continue
            corrected, labels = _corrected(sample, corrections.values.get(sample.path, {}))
            changed += labels
            found[split].append(corrected)
    unused = tuple(sorted(corrections.paths - seen))
    return Applied(found, changed, dropped, unused)


def _corrected(sample: Sample, values: Mapping[str, int]) -> tuple[Sample, int]:
    """The sample with other labels, and how many changed."""
    before = {**dict.fromkeys(sample.difficult, -1), **dict.fromkeys(sample.present, 1)}
    after = {**before, **values}
    changed = sum(after[name] != before.get(name, 0) for name in values)
    if not changed:
        return sample, 0
    present = tuple(sorted(name for name, value in after.items() if value == 1))
    difficult = tuple(sorted(name for name, value in after.items() if value == -1))
    return replace(sample, present=present, difficult=difficult), changed
