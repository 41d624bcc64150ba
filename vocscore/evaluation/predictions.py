"""Reads the output of `vocscore score`: a file of any format, or a folder of parts."""

from __future__ import annotations

import json
import math
import re
from typing import TYPE_CHECKING, Any

from shards.files import open_binary
from vocscore.errors import EvalError
from vocscore.evaluation.collected import BadRowError, Collector, Predictions, left_out
from vocscore.evaluation.read_csv import read_csv

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from vocscore.evaluation.collected import TakesRows

__all__ = ["Predictions", "read_predictions"]

_PART = re.compile(r"part-(\d{6,})\.(csv|jsonl|parquet)")


def read_predictions(source: Path) -> Predictions:
    """Read all probabilities.

    Args:
        source: a file (.jsonl and .parquet by its name, anything else as CSV), or a folder made
            by 'vocscore score --format'.

    Raises:
        EvalError: it is not output of `vocscore score`, lacks probabilities, has duplicate
            images, or a value that is not a probability.
        OSError: a file cannot be read.
    """
    collector = Collector()
    for file in parts_of(source) if source.is_dir() else [source]:
        _READERS.get(file.suffix.lower(), read_csv)(file, collector)
    return collector.finish(source)


def parts_of(folder: Path) -> list[Path]:
    """The parts in order of their numbers, none missing from first to last.

    Raises:
        EvalError: something else is in the folder, or a part is missing.
    """
    matches = [(path, _PART.fullmatch(path.name)) for path in folder.iterdir()]
    strangers = sorted(path.name for path, match in matches if not match)
    parts = sorted((int(match[1]), path) for path, match in matches if match)
    if strangers or not parts:
        found = f"it contains {strangers[0]}" if strangers else "it is empty"
        raise EvalError(
            f"{folder}: not a complete folder of parts as 'vocscore score' writes it with "
            f"`format` ({found})."
        )
    if [number for number, _ in parts] != list(range(len(parts))):
        raise EvalError(
            f"{folder}: {len(parts)} parts, and the last is {parts[-1][1].name}; some are missing, "
            "or there are two formats. Score again into a new folder."
        )
    return [path for _, path in parts]


def read_jsonl(file: Path, into: TakesRows) -> None:
    """Read lines with path, status and probabilities; the first good one sets the classes.

    Raises:
        EvalError: a line is damaged, or has other classes than the first.
        OSError: the file cannot be read.
    """
    with open_binary(file) as lines:
        number = 0
        try:
            for number, line in enumerate(lines, 1):  # noqa: B007 - used in the error
                _add_line(json.loads(line), file, into)
        except (KeyError, TypeError, ValueError, AttributeError, BadRowError) as error:
            what = f"no {error}" if isinstance(error, KeyError) else error
            raise EvalError(f"{file}, line {number}: {what}. Score again.") from error


def _add_line(row: dict[str, Any], file: Path, into: TakesRows) -> None:
    path, status = row["path"], row["status"]
    if "path_bytes" in row:
        path = bytes.fromhex(row["path_bytes"]).decode("utf-8", "surrogateescape")
    if status != "ok":
        into.add(path, status, (), None, str(row.get("error") or ""))
        return
    found: dict[str, float] = row.get("probabilities", {})
    classes = into.classes or into.expect((into.partial and into.known) or list(found), file=file)
    if into.partial and found.keys() <= set(classes):
        values = [found.get(name, math.nan) for name in classes]
        into.add(path, status, values, row.get("labels"))
        return
    odd = [name for name in classes if name not in found] or [n for n in found if n not in classes]
    if odd:
        raise (
            left_out(odd[0])
            if odd[0] in classes
            else BadRowError(
                f"a probability for {odd[0]}, which is not in the rows before it (written with "
                "`top_k` or `min_probability`?), and evaluation needs all"
            )
        )
    into.add(path, status, [found[name] for name in classes], row.get("labels"))


def _read_parquet(file: Path, into: Collector) -> None:
    """Read a table that `vocscore score` wrote; its metadata holds the classes.

    Raises:
        EvalError: it is another table, a row is unusable, or pyarrow is not installed.
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
            classes = into.expect(parquet_classes(table.schema_arrow), file=file)
            rows = _rows(table, classes)
            for number, (path, status, values, labels) in enumerate(rows, 1):  # noqa: B007 - used in the error
                if status == "ok" and None in values:
                    raise left_out(classes[values.index(None)])
                into.add(path, status, values, labels)
    except BadRowError as error:
        raise EvalError(f"{file}, row {number}: {error}. Score again.") from error
    except (pa.ArrowException, KeyError, TypeError, ValueError) as error:
        raise EvalError(f"{file}: not predictions in Parquet ({error}). Score again.") from error


def parquet_classes(schema: Any) -> list[str]:
    """The columns of probabilities, in order.

    Raises:
        KeyError: 'vocscore score' did not write the table.
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


_READERS = {".jsonl": read_jsonl, ".parquet": _read_parquet}
