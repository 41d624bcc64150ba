"""Predictions from CSV."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

from shards.files import open_text
from vocscore.errors import EvalError
from vocscore.evaluation.collected import BadRowError, left_out

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from vocscore.evaluation.collected import Collector

_BEFORE = ["path", "status", "error"]
_LAST = "labels"
_BETWEEN = ";"


def read_csv(file: Path, into: Collector) -> None:
    """Read a table with the columns path, status, error, one a class, and perhaps labels.

    Raises:
        EvalError: it is another table, or a row is damaged.
        OSError: the file cannot be read.
    """
    with open_text(file, errors="surrogateescape", newline="") as stream:
        rows = csv.reader(stream)
        try:
            header = next(rows, [])
            classes = into.expect(_classes(header, file=file), file=file)
            # a name that holds what stands between names cannot be told from two
            told = header[-1] == _LAST and not any(_BETWEEN in name for name in classes)
            for row in rows:
                if len(row) != len(header):
                    raise BadRowError(  # noqa: TRY301 - the place is added below
                        f"{len(row)} columns instead of {len(header)} (was it cut short?)"
                    )
                path, status = row[0], row[1]
                if status == "ok":
                    cells = row[len(_BEFORE) : len(_BEFORE) + len(classes)]
                    labels = row[-1].split(_BETWEEN) if row[-1] else []
                    into.add(path, status, _numbers(cells, classes), labels if told else None)
                else:
                    into.add(path, status, (), None)
        except (csv.Error, BadRowError) as error:
            raise EvalError(f"{file}, line {rows.line_num}: {error}. Score again.") from error


def _classes(header: list[str], *, file: Path) -> list[str]:
    classes = header[len(_BEFORE) :]
    if header[: len(_BEFORE)] != _BEFORE or not classes:
        raise EvalError(
            f"{file}: the first line must be path,status,error,<classes>,labels, as 'vocscore "
            f"score' writes it; found {','.join(header)[:80]!r}."
        )
    return classes[:-1] if classes[-1] == _LAST else classes


def _numbers(cells: Sequence[str], classes: Sequence[str]) -> list[float]:
    try:
        return [float(cell) for cell in cells]
    except ValueError as error:
        if "" in cells:
            raise left_out(classes[cells.index("")]) from None
        raise BadRowError(str(error)) from error
