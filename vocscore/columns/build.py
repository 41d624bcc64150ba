"""Reads predictions of any form into columns."""

from __future__ import annotations

import errno
import shutil
from typing import TYPE_CHECKING, Final

from vocscore.columns import cache
from vocscore.columns.collect import ColumnCollector
from vocscore.columns.layout import map_columns, read_about
from vocscore.columns.parquet import read_parquet_columns
from vocscore.columns.writer import ColumnsWriter
from vocscore.errors import EvalError
from vocscore.evaluation.collected import BadRowError
from vocscore.evaluation.predictions import parts_of, read_jsonl
from vocscore.evaluation.read_csv import read_csv

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from vocscore.columns.layout import Columns

_NO_SPACE: Final = (errno.ENOSPC, errno.EDQUOT)


def read_file(file: Path, into: ColumnCollector) -> None:
    """Read one file by its suffix.

    Raises:
        EvalError: it is not predictions.
        OSError: it cannot be read.
    """
    suffix = file.suffix.lower()
    try:
        if suffix == ".parquet":
            read_parquet_columns(file, into)
            return
        (read_jsonl if suffix == ".jsonl" else read_csv)(file, into)
        into.flush()
    except BadRowError as error:
        raise EvalError(f"{file}: {error}. Score again.") from error


def finished_columns(
    source: Path, *, known: Sequence[str] | None, on_rows: Callable[[int], None] | None
) -> Columns:
    """Map the columns of finished predictions; read them first if they are new or have changed.

    Args:
        source: a file, or a folder of parts.
        known: the classes by the record, if there is one.
        on_rows: called with the number of rows read so far.

    Raises:
        EvalError: it is not predictions, or there is no space for the columns.
        OSError: it cannot be read.
    """
    files = parts_of(source) if source.is_dir() else [source]
    key, place = cache.key_of(files), cache.place_of(source)
    about = read_about(place)
    if about is not None and about.key == key:
        try:
            columns = map_columns(place, about)
        except (OSError, ValueError):
            pass  # damaged: read again
        else:
            cache.remove_old(place)
            return columns
    try:
        return _built(source, files, place, key=key, known=known, on_rows=on_rows)
    except OSError as error:
        if error.errno not in _NO_SPACE:
            raise
        raise EvalError(
            f"{source}: its columns cannot be written to {place.parent}: "
            f"{str(error.strerror).lower()}. Free some space there, or set XDG_CACHE_HOME to a "
            "folder on another disk."
        ) from error


def _built(
    source: Path,
    files: Sequence[Path],
    place: Path,
    *,
    key: str,
    known: Sequence[str] | None,
    on_rows: Callable[[int], None] | None,
) -> Columns:
    """Read predictions, and write their columns to the cache."""
    place.parent.mkdir(parents=True, exist_ok=True)
    working = cache.working_folder(place)
    try:
        writer = ColumnsWriter(working)
        collector = ColumnCollector(writer, known=known, on_rows=on_rows)
        for file in files:
            read_file(file, collector)
        _settle_classes(collector, source)
        about = writer.finish(key, collector.notes)
    except BaseException:
        shutil.rmtree(working, ignore_errors=True)
        raise
    place = cache.put(working, place)
    cache.remove_old(place)
    return map_columns(place, about)


def _settle_classes(collector: ColumnCollector, source: Path) -> None:
    """Write rows that wait for classes: all of them are errors.

    Raises:
        EvalError: no row and no record names the classes.
    """
    if collector.classes is None:
        collector.expect((), file=source)
    collector.flush()
