"""Writes the features of a unit as a part, and joins the parts to a file: NumPy's, or Parquet."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any, BinaryIO, Final

import numpy as np

from shards.files import open_binary
from vocscore.errors import ScoreError
from vocscore.scoring.formats.parquet_format import require_pyarrow
from vocscore.scoring.formats.text import name_bytes, readable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from vocscore.config.scoring import OutputConfig
    from vocscore.scoring.output.features_parts import FeaturesFormat
    from vocscore.scoring.output.rows import Rows

_COPY_BYTES: Final = 1 << 20
_ROW_GROUP_BYTES: Final = 64 << 20
"""Most bytes of features in a row group: readers decode one as a whole. A tar may be larger."""


def features_of(
    written: OutputConfig, *, origin: Mapping[str, Any]
) -> tuple[Path, FeaturesFormat] | None:
    """Return the file for features and its format, by its suffix; None if there is none.

    Args:
        written: the options.
        origin: plain values that describe the model, for formats with metadata.

    Raises:
        ScoreError: Parquet needs a library that is not installed.
    """
    file = written.features
    if file is None:
        return None
    return file, features_format(file.name, written.features_dtype, origin=origin)


def features_format(name: str, dtype: str, *, origin: Mapping[str, Any]) -> FeaturesFormat:
    """Return the format for features in a file of this name.

    Args:
        name: ends in '.npy' or '.parquet'.
        dtype: 'float32' or 'float16'.
        origin: as for `features_of`.

    Raises:
        ScoreError: as for `features_of`.
    """
    kind = np.dtype(dtype).newbyteorder("<")
    is_parquet = name.lower().endswith(".parquet")
    return ParquetFeatures(kind, origin) if is_parquet else NpyFeatures(kind)


def _values(rows: Rows, dtype: np.dtype[Any]) -> NDArray[Any]:
    """The features of a unit, shape (n, F).

    Raises:
        ScoreError: one of them is too large for float16.
    """
    assert rows.features is not None
    if dtype.itemsize == rows.features.itemsize:
        return rows.features
    with np.errstate(over="ignore"):
        values = rows.features.astype(dtype)
    wrong = np.isinf(values)
    if wrong.any():
        row = int(wrong.any(axis=1).argmax())
        largest = np.abs(rows.features[row]).max()
        raise ScoreError(
            f"{rows.names[row]}: a feature is {largest:g}, and float16 ends at 65504. Use "
            "`features_dtype='float32'`."
        )
    return values


class NpyFeatures:
    """NumPy's format: one array (rows, F), NaN where the image failed."""

    suffix = ".npy"

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self._dtype = dtype

    def write(self, file: BinaryIO, rows: Rows) -> None:
        """Write the part of one unit."""
        values = np.ascontiguousarray(_values(rows, self._dtype))
        self._write_header(file, values.shape)
        file.write(values.data)

    def join(self, file: BinaryIO, parts: Iterable[Path]) -> None:
        """Copy the parts, which are gone through twice, behind a header with the number of rows."""
        shapes = []
        for part in parts:
            with open_binary(part) as opened:
                shapes.append(_read_header(opened))
        self._write_header(file, (sum(shape[0] for shape in shapes), shapes[0][1]))
        for part in parts:
            with open_binary(part) as opened:
                _read_header(opened)
                shutil.copyfileobj(opened, file, _COPY_BYTES)

    def _write_header(self, file: BinaryIO, shape: tuple[int, ...]) -> None:
        about = {
            "descr": np.lib.format.dtype_to_descr(self._dtype),
            "fortran_order": False,
            "shape": shape,
        }
        np.lib.format.write_array_header_1_0(file, about)


def _read_header(file: BinaryIO) -> tuple[int, ...]:
    """Read up to the first value; return the shape."""
    np.lib.format.read_magic(file)
    shape: tuple[int, ...] = np.lib.format.read_array_header_1_0(file)[0]
    return shape


class ParquetFeatures:
    """Parquet: the columns path, features (a list of fixed size, null for errors), path_bytes."""

    suffix = ".parquet"

    def __init__(self, dtype: np.dtype[Any], origin: Mapping[str, Any]) -> None:
        require_pyarrow()
        self._dtype = dtype
        self._about = json.dumps({**origin, "features": dtype.name})

    def write(self, file: BinaryIO, rows: Rows) -> None:
        """Write the part of one unit."""
        self._write_tables(file, [self._table(rows)])

    def join(self, file: BinaryIO, parts: Iterable[Path]) -> None:
        """Write the row groups of the parts one after the other; one is in memory at a time."""
        import pyarrow.parquet as pq

        def tables() -> Iterable[Any]:
            for part in parts:
                with pq.ParquetFile(part) as opened:
                    if opened.num_row_groups == 0:
                        yield opened.read()
                    for group in range(opened.num_row_groups):
                        yield opened.read_row_group(group)

        self._write_tables(file, tables())

    def _write_tables(self, file: BinaryIO, tables: Iterable[Any]) -> None:
        """Write tables of one schema, each as one row group or several."""
        import pyarrow.parquet as pq

        writer = None
        for table in tables:
            if writer is None:
                writer = pq.ParquetWriter(
                    file, table.schema, compression="zstd", use_dictionary=False
                )
            if table.num_rows:
                width = table.schema.field("features").type.list_size * self._dtype.itemsize
                most = max(1, _ROW_GROUP_BYTES // max(width, 1))
                writer.write_table(table, row_group_size=most)
        if writer is not None:
            writer.close()

    def _table(self, rows: Rows) -> Any:
        import pyarrow as pa

        values = _values(rows, self._dtype)
        failed = np.zeros(len(rows.names), np.bool_)
        failed[list(rows.failures)] = True
        paths = [readable(name) for name in rows.names]
        exact = zip(rows.names, paths, strict=True)
        features = pa.FixedSizeListArray.from_arrays(
            pa.array(values.reshape(-1)), values.shape[1], mask=pa.array(failed)
        )
        columns = {
            "path": pa.array(paths, pa.string()),
            "features": features,
            "path_bytes": pa.array(
                [None if name == path else name_bytes(name) for name, path in exact], pa.binary()
            ),
        }
        return pa.table(columns, metadata={"vocscore": self._about})
