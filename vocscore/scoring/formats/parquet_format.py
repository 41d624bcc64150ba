r"""Writes scored images as Parquet, with pyarrow.

Columns: `path`, `status`, `error` (null if there is none), one float32 per class, `labels` (a
list), `path_bytes`. Values are null for failed images and for probabilities that were not selected;
they are rounded if decimals were asked for. In `path`, bytes of a name that are not UTF-8 are shown
as `\xe9`; `path_bytes` then has the exact name, and is null otherwise. The key `vocscore` of the
file's metadata describes, as JSON, the source of the rows: version, classes, threshold, checkpoint,
Preprocess, selection.

Every part is a file with one row group, which becomes one row group of the joined file, so memory
use and bytes depend on the unit only.
"""

from __future__ import annotations

import json
from itertools import compress
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from vocscore.errors import ScoreError
from vocscore.models.probabilities import decide
from vocscore.scoring.formats.text import name_bytes, readable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from vocscore.scoring.formats.selection import Selection
    from vocscore.scoring.output.rows import Rows

_FEW_VALUES = ["status", "error", "labels.list.element"]
"""Columns with dictionary encoding; for probabilities the dictionary would be discarded."""


class ParquetFormat:
    """Writes parts and joins them.

    Args:
        classes: the columns of probabilities.
        threshold: a class is in `labels` at or above this probability, both as float32; one number,
            or one per class.
        selection: what is written per image.
        activation: of the probabilities, as for `decide`.
        origin: plain values for the file's metadata, in addition to the arguments above.

    Raises:
        ScoreError: pyarrow is not installed, or a class has the name of another column.
    """

    suffix = ".parquet"

    def __init__(
        self,
        classes: Sequence[str],
        threshold: float | Sequence[float],
        *,
        selection: Selection,
        origin: Mapping[str, Any],
        activation: str = "sigmoid",
    ) -> None:
        """Check now what would otherwise fail with the first part."""
        require_pyarrow()
        self.classes = tuple(classes)
        self._threshold = np.asarray(threshold, np.float32)
        self._activation = activation
        self._selection = selection
        self._about = {
            **origin,
            "classes": list(classes),
            "threshold": threshold,
            **({} if activation == "sigmoid" else {"activation": activation}),
            "selection": selection.to_json(),
        }

    def write(self, file: BinaryIO, rows: Rows) -> None:
        """Write the part of one unit."""
        self.write_tables(file, [self._table(rows)])

    def merge(self, file: BinaryIO, parts: Iterable[Path]) -> None:
        """Write the parts one after the other; only one is in memory at a time."""
        import pyarrow.parquet as pq

        self.write_tables(file, (pq.ParquetFile(part).read() for part in parts))

    def write_tables(self, file: BinaryIO, tables: Iterable[Any]) -> None:
        """Write tables in the schema of this format, each as one row group."""
        import pyarrow.parquet as pq

        with pq.ParquetWriter(
            file, self._schema(), compression="zstd", use_dictionary=_FEW_VALUES
        ) as writer:
            for table in tables:
                if table.num_rows:
                    writer.write_table(table, row_group_size=table.num_rows)

    def _schema(self) -> Any:
        import pyarrow as pa

        numbers = self.classes if self._selection.probabilities else ()
        labels = [("labels", pa.list_(pa.string()))] if self._selection.labels else []
        return pa.schema(
            [
                ("path", pa.string()),
                ("status", pa.string()),
                ("error", pa.string()),
                *((readable(name), pa.float32()) for name in numbers),
                *labels,
                ("path_bytes", pa.binary()),
            ],
            metadata={"vocscore": json.dumps(self._about)},
        )

    def _table(self, rows: Rows) -> Any:
        import pyarrow as pa

        count = len(rows.names)
        errors = [str(rows.failures[row]) if row in rows.failures else None for row in range(count)]
        paths = [readable(name) for name in rows.names]
        exact = zip(rows.names, paths, strict=True)
        columns: list[Any] = [
            paths,
            ["ok" if error is None else "error" for error in errors],
            [error and readable(error) for error in errors],
            *self._numbers(rows),
            *([self._labels(rows)] if self._selection.labels else []),
            [None if name == path else name_bytes(name) for name, path in exact],
        ]
        schema = self._schema()
        arrays = [pa.array(c, type=f.type) for c, f in zip(columns, schema, strict=True)]
        return pa.table(arrays, schema=schema)

    def _numbers(self, rows: Rows) -> Iterable[Any]:
        """Yield the columns of probabilities."""
        import pyarrow as pa

        if not self._selection.probabilities:
            return
        missing: NDArray[np.bool_] = ~self._selection.kept(rows.probabilities)
        missing[list(rows.failures)] = True
        values = self._selection.rounding.rounded(rows.probabilities)
        for column, mask in zip(values.T, missing.T, strict=True):
            yield pa.array(np.ascontiguousarray(column), mask=np.ascontiguousarray(mask))

    def _labels(self, rows: Rows) -> list[list[str] | None]:
        names = [readable(name) for name in self.classes]
        above = decide(rows.probabilities, self._threshold, self._activation).tolist()
        return [
            None if row in rows.failures else list(compress(names, reached))
            for row, reached in enumerate(above)
        ]


def require_pyarrow() -> None:
    """Check that Parquet can be written.

    Raises:
        ScoreError: pyarrow is not installed.
    """
    try:
        import pyarrow.parquet  # noqa: F401 - only to see whether it is installed
    except ImportError as error:
        raise ScoreError(
            "Parquet needs pyarrow, which is not installed. Run: pip install 'pyarrow>=16'"
        ) from error
