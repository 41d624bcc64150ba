"""Finds the rows of a finished output: whose they are, and where their bytes stand."""

from __future__ import annotations

import json
import mmap
import os
import re
from array import array
from dataclasses import dataclass
from hashlib import blake2b
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np

from shards.files import open_binary
from vocscore.errors import ScoreError
from vocscore.scoring.formats.text import name_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path
    from typing import BinaryIO

    from numpy.typing import NDArray

    Row: TypeAlias = tuple[bytes, bool]

_SALT: Final = os.urandom(16)
"""Nobody can choose names whose keys are equal by accident."""
_CSV: Final = re.compile(rb'(?:"((?:[^"]|"")*)"|([^",\r\n]*)),(ok|error),')
_JSONL: Final = re.compile(
    rb'\{"path": ("(?:[^"\\]|\\.)*")(?:, "path_bytes": "([0-9a-f]*)")?, "status": "(ok|error)"'
)
_ROWS_A_BATCH: Final = 65536


@dataclass(frozen=True, slots=True)
class OldRows:
    """The rows of an output, in order.

    Attributes:
        keys: uint64, shape (N,): `key_of` of the paths.
        good: bool, shape (N,): whether the row has no error.
        starts: int64, shape (N + 1,): offsets of the rows in the file, and its end; None for
            Parquet, whose rows have numbers only.
    """

    keys: NDArray[np.uint64]
    good: NDArray[np.bool_]
    starts: NDArray[np.int64] | None


def key_of(name: bytes) -> int:
    """A number that stands for a path, in this process: a million strings need 16 times as much."""
    return int.from_bytes(blake2b(name, digest_size=8, key=_SALT).digest(), "little")


def keys_of(names: Sequence[str]) -> NDArray[np.uint64]:
    """The keys of names, uint64, shape (len(names),)."""
    return np.fromiter((key_of(name_bytes(name)) for name in names), np.uint64, len(names))


def read_old_rows(file: Path, kind: str) -> OldRows:
    """Read the paths and the status of all rows.

    Args:
        file: a finished output.
        kind: 'csv', 'jsonl' or 'parquet'.

    Raises:
        ScoreError: it is not as `score` writes it.
        OSError: it cannot be read.
    """
    starts: array[int] | None = None if kind == "parquet" else array("q")
    keys, good = array("Q"), array("b")
    for name, is_good in _rows(file, kind, starts):
        keys.append(key_of(name))
        good.append(is_good)
    return OldRows(
        np.frombuffer(keys, np.uint64),
        np.frombuffer(good, np.bool_),
        None if starts is None else np.frombuffer(starts, np.int64),
    )


def names_at(file: Path, kind: str, rows: NDArray[np.int64]) -> list[str]:
    """The paths of some rows, in order.

    Args:
        file: a finished output.
        kind: 'csv', 'jsonl' or 'parquet'.
        rows: int64, ascending.
    """
    wanted = set(rows.tolist())
    found = enumerate(_rows(file, kind, None))
    return [os.fsdecode(name) for row, (name, _good) in found if row in wanted]


def _rows(file: Path, kind: str, starts: array[int] | None) -> Iterator[Row]:
    if kind == "parquet":
        yield from _parquet_rows(file)
        return
    with open_binary(file) as opened:
        if kind == "csv":
            next(csv_lines(opened), None)  # the header
        offset = opened.tell()
        pattern = _CSV if kind == "csv" else _JSONL
        for line in csv_lines(opened) if kind == "csv" else opened:
            match = pattern.match(line)
            if match is None or not line.endswith(b"\n"):
                raise ScoreError(f"{file}: damaged at byte {offset}. {_CURE}")
            if starts is not None:
                starts.append(offset)
            offset += len(line)
            yield (_csv_name if kind == "csv" else _jsonl_name)(match), match[3] == b"ok"
    if starts is not None:
        starts.append(offset)


_CURE: Final = "Score again with `overwrite=True`."


def csv_lines(lines: BinaryIO) -> Iterator[bytes]:
    """Yield rows of CSV: a line end between quotes belongs to a name."""
    row = b""
    while line := lines.readline():
        row += line
        # quotes are doubled inside quotes, so a complete row has an even number of them
        if row.count(b'"') % 2 == 0:
            yield row
            row = b""
    if row:
        yield row


def _csv_name(match: re.Match[bytes]) -> bytes:
    return match[2] if match[1] is None else match[1].replace(b'""', b'"')


def _jsonl_name(match: re.Match[bytes]) -> bytes:
    if match[2] is not None:
        return bytes.fromhex(match[2].decode("ascii"))
    return name_bytes(json.loads(match[1]))


def _parquet_rows(file: Path) -> Iterator[Row]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(file) as opened:
            columns = ["path", "status", "path_bytes"]
            for batch in opened.iter_batches(_ROWS_A_BATCH, columns=columns):
                paths, states, exact = (batch.column(name).to_pylist() for name in columns)
                for path, status, name in zip(paths, states, exact, strict=True):
                    yield name_bytes(path) if name is None else name, status == "ok"
    except (pa.ArrowInvalid, KeyError) as error:
        raise ScoreError(f"{file}: damaged ({str(error).splitlines()[0]}). {_CURE}") from error


def runs_of(rows: NDArray[np.int64]) -> Iterable[tuple[int, int, int]]:
    """Divide row numbers into runs of consecutive ones.

    Args:
        rows: int64; -1 for rows that come from elsewhere.

    Yields:
        Position of the run's first row in `rows`, that row, and the length; of -1, too.
    """
    steps = np.diff(rows)
    new = (rows[1:] < 0) & (rows[:-1] < 0)
    ends = np.flatnonzero(~new & ((steps != 1) | (rows[:-1] < 0)))
    bounds = [0, *(ends + 1).tolist(), len(rows)]
    for start, stop in pairwise(bounds):
        if stop > start:
            yield start, int(rows[start]), stop - start


def mapped(file: BinaryIO) -> Any:
    """The bytes of a file, mapped into memory; b"" for an empty one, which cannot be mapped."""
    if os.fstat(file.fileno()).st_size == 0:
        return b""
    return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
