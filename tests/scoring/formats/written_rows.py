"""Rows that are hard to write, and the four ways to write them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np

from shards.errors import Fault, Reason
from vocscore.scoring.formats.choice import choose
from vocscore.scoring.formats.selection import EVERYTHING
from vocscore.scoring.output.rows import Rows

if TYPE_CHECKING:
    from pathlib import Path

CLASSES = ("cat", "a,b", 'say "no"', "naïve-日本")
THRESHOLD = 0.5
ORIGIN = {"vocscore": "1.2", "checkpoint": "f" * 64, "preprocess": {"size": 64}}
ODD_NAMES = [
    "plain.jpg",
    "comma, and space .jpg",
    'quo"te".jpg',
    "line\nend.jpg",
    "carriage\rreturn.jpg",
    "both\r\nof them.jpg",
    "=1+1.jpg",
    "@SUM(A1).jpg",
    " leading.jpg",
    "naïve-日本.jpg",
    "emoji-\U0001f600.jpg",
    os.fsdecode(b"caf\xe9.jpg"),
    os.fsdecode(b"caf\xe8.jpg"),
    r"caf\xe9.jpg",
    os.fsdecode(b"\xff\xfe\x80"),
    "'; drop.jpg",
    "tab\tand\x01control.jpg",
    "NULL",
    "null",
    "nan",
    "0012",
    "{}",
    "folder/a.jpg",
]


def odd_rows() -> Rows:
    """A row for each odd name; every fifth has failed, with a detail that is odd as well."""
    values = np.random.default_rng(0).random((len(ODD_NAMES), len(CLASSES)), np.float32) ** 4
    values[0] = [0, 1, 0.5, np.float32(1e-9)]
    values[1] = np.nextafter(np.float32(0.5), np.float32([0, 1, 0, 1]))
    failures = {
        row: Fault(Reason.CORRUPT, f'he said, "{row}"\nand left')
        for row in range(2, len(ODD_NAMES), 5)
    }
    values[list(failures)] = 0
    return Rows(ODD_NAMES, values, failures)


def cut(rows: Rows, *, at: int) -> list[Rows]:
    """The same rows as two units."""
    return [
        Rows(
            rows.names[span],
            rows.probabilities[span],
            {r - span.start: f for r, f in rows.failures.items() if span.start <= r < span.stop},
        )
        for span in (slice(0, at), slice(at, len(rows.names)))
    ]


def write_file(file: Path, units: list[Rows], *, selection=EVERYTHING, classes=CLASSES) -> Path:
    """Units to parts to a file, in the format of its name."""
    form = choose(file, folder_format=None).open(
        classes, THRESHOLD, selection=selection, origin=ORIGIN
    )
    parts = []
    for number, rows in enumerate(units):
        parts.append(file.with_name(f"{file.stem}-{number}"))
        with parts[-1].open("wb") as opened:
            form.write(opened, rows)
    with file.open("wb") as opened:
        form.merge(opened, parts)
    return file


def write_folder(folder: Path, name: str, units: list[Rows], *, classes=CLASSES) -> Path:
    """Units to a folder of parts."""
    form = choose(folder, folder_format=name).open(
        classes, THRESHOLD, selection=EVERYTHING, origin=ORIGIN
    )
    folder.mkdir()
    for number, rows in enumerate(units):
        with (folder / f"part-{number:06d}{form.suffix}").open("wb") as opened:
            form.write(opened, rows)
    return folder


def expected(rows: Rows) -> list[dict]:
    """What any reader must find, worked out row by row."""
    found = []
    for row, name in enumerate(rows.names):
        failed = row in rows.failures
        values = rows.probabilities[row]
        found.append(
            {
                "path": name,
                "status": "error" if failed else "ok",
                "error": str(rows.failures[row]) if failed else None,
                "probabilities": None if failed else dict(zip(CLASSES, values, strict=True)),
                "labels": None
                if failed
                else [c for c, v in zip(CLASSES, values, strict=True) if v >= THRESHOLD],
            }
        )
    return found
