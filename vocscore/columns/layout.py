"""The columns of predictions on disk: files of numbers that are mapped into memory.

    about.json          written last: classes, rows, reasons, the state of the predictions
    probabilities.f32   float32; blocks of rows, in each block one class after the other
    decided.u1          bool, in the same blocks: the labels in the predictions
    reason.u1           uint8 per row: index in `reasons`; 0 is no error
    paths.bin           the paths, UTF-8 with surrogates for other bytes, one after the other
    path_ends.i8        int64 per row: end of its path in paths.bin
    details.bin         texts of the errors
    detail_rows.i8      int64 per error: its row
    detail_ends.i8      int64 per error: end of its text in details.bin

Blocks allow rows to be appended while a run is still being written, and a class to be read without
the others.
"""

from __future__ import annotations

import json
import mmap
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from shards.files import read_regular

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

VERSION: Final = 1
ABOUT: Final = "about.json"
MOST_REASONS: Final = 255
"""Reasons are numbered in one byte; those beyond are counted as `OTHER`."""
OTHER: Final = "other"


@dataclass(frozen=True, slots=True)
class About:
    """Facts about columns.

    Attributes:
        key: state of the predictions when they were read; see `cache.key_of`.
        classes: in column order.
        blocks: rows of each block.
        reasons: of errors; the first is '', no error.
        has_decided: whether every row without an error had labels.
        has_all: whether every row without an error had all probabilities.
        notes: anomalies of the file that could be read.
    """

    key: str
    classes: tuple[str, ...]
    blocks: tuple[int, ...]
    reasons: tuple[str, ...]
    has_decided: bool
    has_all: bool
    notes: tuple[str, ...] = ()

    @property
    def rows(self) -> int:
        """Number of rows."""
        return sum(self.blocks)

    def to_bytes(self) -> bytes:
        """The file `about.json`."""
        return (json.dumps({"version": VERSION, **asdict(self)}) + "\n").encode("ascii")


def read_about(folder: Path) -> About | None:
    """Read `about.json`; None if it is missing, damaged, or of another version."""
    try:
        value = json.loads(read_regular(folder / ABOUT))
        if value.pop("version") != VERSION:
            return None
        lists = {name: tuple(each) for name, each in value.items() if isinstance(each, list)}
        return About(**{**value, **lists})
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """Mapped columns of N rows and C classes; every array is read-only.

    Attributes:
        about: the facts.
        starts: int64 (blocks + 1,), first row of each block, and N.
        probabilities: per block float32 (C, rows); nan for errors and what was not written.
        decided: per block bool (C, rows).
        reason: uint8 (N,).
        paths: uint8, all paths.
        path_ends: int64 (N,).
        details: uint8, all texts.
        detail_rows: int64 (errors,), ascending.
        detail_ends: int64 (errors,).
    """

    about: About
    starts: NDArray[np.int64]
    probabilities: tuple[NDArray[np.float32], ...]
    decided: tuple[NDArray[np.bool_], ...]
    reason: NDArray[np.uint8]
    paths: NDArray[np.uint8]
    path_ends: NDArray[np.int64]
    details: NDArray[np.uint8]
    detail_rows: NDArray[np.int64]
    detail_ends: NDArray[np.int64]


def map_columns(folder: Path, about: About) -> Columns:
    """Map the files of a folder.

    Args:
        folder: with at least the rows of `about`; more may have been appended since.
        about: which rows to map.

    Raises:
        OSError, ValueError: a file is missing or too short.
    """
    rows, classes = about.rows, len(about.classes)
    starts = np.concatenate([[0], np.cumsum(np.array(about.blocks, np.int64))]).astype(np.int64)
    path_ends = _map(folder / "path_ends.i8", np.int64, rows)
    detail_rows = _map(folder / "detail_rows.i8", np.int64, None)
    detail_rows = detail_rows[: np.searchsorted(detail_rows, rows)]
    detail_ends = _map(folder / "detail_ends.i8", np.int64, len(detail_rows))
    return Columns(
        about=about,
        starts=starts,
        probabilities=_blocks(folder / "probabilities.f32", np.float32, about, classes),
        decided=_blocks(folder / "decided.u1", np.bool_, about, classes),
        reason=_map(folder / "reason.u1", np.uint8, rows),
        paths=_map(folder / "paths.bin", np.uint8, int(path_ends[-1]) if rows else 0),
        path_ends=path_ends,
        details=_map(folder / "details.bin", np.uint8, None),
        detail_rows=detail_rows,
        detail_ends=detail_ends,
    )


def _map(file: Path, dtype: Any, count: int | None) -> NDArray[Any]:
    """Map a file's first numbers; all of them with None. An empty file cannot be mapped."""
    with file.open("rb") as opened:
        size = opened.seek(0, 2)
        if not size:
            found = np.empty(0, dtype)
        else:
            mapped = mmap.mmap(opened.fileno(), size, access=mmap.ACCESS_READ)
            found = np.frombuffer(mapped, dtype, size // np.dtype(dtype).itemsize)
    if count is not None and len(found) < count:
        raise ValueError(f"{file}: {len(found)} values instead of {count}")
    return found[:count]


def _blocks(file: Path, dtype: Any, about: About, classes: int) -> tuple[NDArray[Any], ...]:
    every = _map(file, dtype, about.rows * classes)
    found, start = [], 0
    for rows in about.blocks:
        found.append(every[start : start + rows * classes].reshape(classes, rows))
        start += rows * classes
    return tuple(found)
