"""Predictions from Parquet, by pyarrow."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from shards.files import open_binary
from vocscore.errors import EvalError
from vocscore.evaluation.collected import BadRowError, left_out

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from vocscore.evaluation.collected import Collector


def read_parquet(file: Path, into: Collector) -> None:
    """Read a table that `vocscore score` wrote; its metadata tells the classes.

    Raises:
        EvalError: it is another table, a row cannot be used, or pyarrow is not installed.
        OSError: the file cannot be read.
    """
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise EvalError(
            f"{file}: Parquet needs pyarrow, which is not installed. Run: pip install 'pyarrow>=16'"
        ) from error
    number = 0
    try:
        with open_binary(file) as opened, pq.ParquetFile(opened) as table:
            classes = into.expect(_classes(table.schema_arrow), file=file)
            rows = _rows(table, classes)
            for number, (path, status, values, labels) in enumerate(rows, 1):  # noqa: B007 - told in the error
                if status == "ok" and None in values:
                    raise left_out(classes[values.index(None)])
                into.add(path, status, values, labels)
    except BadRowError as error:
        raise EvalError(f"{file}, row {number}: {error}. Score again.") from error
    except (pa.ArrowException, KeyError, TypeError, ValueError) as error:
        raise EvalError(f"{file}: not predictions in Parquet ({error}). Score again.") from error


def _classes(schema: Any) -> list[str]:
    """The columns of probabilities, in their order.

    Raises:
        KeyError: 'vocscore score' did not write it.
    """
    about = json.loads((schema.metadata or {})[b"vocscore"])
    return [name for name in about["classes"] if about["selection"]["columns"] != "labels"]


def _rows(
    table: Any, classes: tuple[str, ...]
) -> Iterator[tuple[str, str, list[Any], list[str] | None]]:
    told = ["labels"] if "labels" in table.schema_arrow.names else []
    columns = ["path", "status", "path_bytes", *classes]
    for batch in table.iter_batches(columns=columns + told):
        names, statuses, raw, *numbers = (batch.column(name).to_pylist() for name in columns)
        labels = batch.column("labels").to_pylist() if told else [None] * len(names)
        rows = zip(names, statuses, raw, labels, *numbers, strict=True)
        for path, status, exact, row_labels, *values in rows:
            name = path if exact is None else exact.decode("utf-8", "surrogateescape")
            yield name, status, values, row_labels
