"""Reads Parquet into columns, whole batches at a time."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from shards.files import open_binary
from vocscore.errors import EvalError
from vocscore.evaluation.predictions import parquet_classes

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from vocscore.columns.collect import ColumnCollector

_ROWS_A_BATCH: Final = 1 << 16
_NUMBERS_A_BATCH: Final = 1 << 23


def read_parquet_columns(file: Path, into: ColumnCollector) -> None:
    """Read a table that `vocscore score` wrote.

    Raises:
        EvalError: it is another table, a probability is out of range, or pyarrow is not installed.
        OSError: the file cannot be read.
    """
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise EvalError(
            f"{file}: Parquet needs pyarrow, which is not installed. Run: pip install 'pyarrow>=16'"
        ) from error
    try:
        with open_binary(file) as opened, pq.ParquetFile(opened) as table:
            written = parquet_classes(table.schema_arrow)
            classes = into.expect(written or _named(table.schema_arrow), file=file)
            rows = max(1, min(_ROWS_A_BATCH, _NUMBERS_A_BATCH // len(classes)))
            for batch in table.iter_batches(batch_size=rows):
                _append(batch, classes if written else (), into, file=file)
    except (pa.ArrowException, KeyError, TypeError, ValueError) as error:
        raise EvalError(f"{file}: not predictions in Parquet ({error}). Score again.") from error


def _named(schema: Any) -> list[str]:
    """The classes of a table without probabilities."""
    return list(json.loads((schema.metadata or {})[b"vocscore"])["classes"])


def _append(batch: Any, classes: tuple[str, ...], into: ColumnCollector, *, file: Path) -> None:
    """Append a batch.

    Args:
        batch: a record batch.
        classes: with a column; empty if only labels were written.
        into: what takes the rows.
        file: for errors.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    every = into.classes or ()
    statuses = batch.column("status")
    good = pc.equal(statuses, "ok").to_numpy(zero_copy_only=False).astype(np.bool_)
    probabilities = np.full((len(good), len(every)), np.nan, np.float32)
    for place, name in enumerate(classes):
        column = batch.column(_shown(name))
        probabilities[:, place] = column.to_numpy(zero_copy_only=False)
    probabilities[~good] = np.nan
    if ((probabilities < 0) | (probabilities > 1)).any():
        raise EvalError(f"{file}: a value is not a probability. Score again.")
    names = batch.column("path").cast(pa.binary()).to_pylist()
    exact = batch.column("path_bytes")
    if exact.null_count < len(exact):
        names = [
            own if own is not None else name
            for own, name in zip(exact.to_pylist(), names, strict=True)
        ]
    bad = np.flatnonzero(~good)
    told = batch.column("error").take(pa.array(bad)).to_pylist()
    into.append_block(
        b"".join(names),
        np.array([len(name) for name in names], np.int64),
        {int(row): text or "" for row, text in zip(bad, told, strict=True)},
        probabilities,
        _labels(batch, every),
    )


def _labels(batch: Any, classes: tuple[str, ...]) -> NDArray[np.bool_] | None:
    """Which classes are labels; bool (rows, C), None without a column of labels."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if "labels" not in batch.schema.names:
        return None
    lists = batch.column("labels")
    places = pc.index_in(lists.flatten(), value_set=pa.array([_shown(name) for name in classes]))
    decided = np.zeros((len(lists), len(classes)), np.bool_)
    rows = pc.list_parent_indices(lists).to_numpy(zero_copy_only=False)
    if places.null_count:
        raise ValueError("a label is not among the classes")
    decided[rows, places.to_numpy(zero_copy_only=False)] = True
    return decided


def _shown(name: str) -> str:
    r"""A class name as Parquet has it: bytes that are not UTF-8 as `\xe9`."""
    try:
        return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:
        return name.encode("utf-8", "surrogatepass").decode("utf-8", "backslashreplace")
