"""The labels of the images in a table of predictions."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from shards.errors import Error
from shards.manifest import read_manifest
from vocscore.errors import EvalError
from vocscore.evaluation.collected import Predictions
from vocscore.evaluation.difficult import apply_difficult
from vocscore.evaluation.evaluate import align
from vocscore.evaluation.judged import ALL, choose_images
from vocscore.evaluation.labeled import NO_ROW

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vocscore.columns.table import Table
    from vocscore.evaluation.judged import Judged

UNLABELED: Final = -2
"""The label of an image that is not in the shards."""
_COLUMNS: Final = 64
"""Columns that are kept in memory."""


class Labels:
    """The labels of a table's rows. Made by `find_labels`.

    Attributes:
        shards: the packed set.
        judged: its images, and how the model's training used them; see `evaluation.judged`.
        has: bool (N,), which rows have labels.
        split_names: of the splits with a scored image.
        split: int16 (N,): index in `split_names`; -1 without labels.
        trained: bool (N,): the model was trained on the image.
        held_out: bool (N,): has labels and probabilities, and was not trained on; the rows that
            figures are computed on.
    """

    def __init__(
        self, table: Table, shards: Path, judged: Judged, values: NDArray[np.int8]
    ) -> None:
        """Align labels with rows.

        Args:
            table: of the predictions.
            shards: the packed set.
            judged: its images, M of them.
            values: int8 (M, C), in the table's order of classes.
        """
        self.shards = shards
        self.judged = judged
        self._values = values
        self._image = np.full(table.rows, NO_ROW, np.int64)
        matched = judged.row != NO_ROW
        rows = judged.row[matched]
        self._image[rows] = np.flatnonzero(matched)
        self.has: NDArray[np.bool_] = self._image != NO_ROW
        self.split_names = judged.labeled.splits
        self.split = np.full(table.rows, -1, np.int16)
        self.split[rows] = judged.labeled.belongs[matched]
        self.trained = np.zeros(table.rows, np.bool_)
        self.trained[rows] = judged.seen.trained[matched]
        self.held_out = self.has & ~self.trained & ~table.failed
        self._column = lru_cache(_COLUMNS)(self._read)

    def column(self, c: int) -> NDArray[np.int8]:
        """The labels of a class, int8 (N,): 1, 0, -1 (only difficult), or `UNLABELED`."""
        found: NDArray[np.int8] = self._column(c)
        return found

    def _read(self, c: int) -> NDArray[np.int8]:
        found = np.full(len(self._image), UNLABELED, np.int8)
        found[self.has] = self._values[self._image[self.has], c]
        found.flags.writeable = False
        return found

    def row(self, r: int) -> NDArray[np.int8]:
        """The labels of an image, int8 (C,)."""
        image = int(self._image[r])
        if image == NO_ROW:
            return np.full(self._values.shape[1], UNLABELED, np.int8)
        found: NDArray[np.int8] = self._values[image]
        return found

    def table(self, rows: NDArray[np.integer[Any]]) -> NDArray[np.int8]:
        """The labels of some images that have labels, int8 (len(rows), C)."""
        found: NDArray[np.int8] = self._values[self._image[rows]]
        return found

    def name(self, r: int) -> str:
        """The path of an image in the shards; '' without labels."""
        image = int(self._image[r])
        return "" if image == NO_ROW else self.judged.labeled.names[image]

    @property
    def left_out(self) -> int:
        """Number of rows with labels that figures leave out, because they were trained on."""
        return int((self.has & self.trained).sum())


def find_labels(table: Table, shards: Path | None, *, difficult: str = "ignore") -> Labels | None:
    """Find the labels of a table's images.

    Args:
        table: the predictions.
        shards: the packed set; None: that of the model's training by the record, if it still exists
            and has some of the images.
        difficult: see `apply_difficult`.

    Returns:
        The labels; None if no set is named and none is found.

    Raises:
        EvalError: the named set has other classes, or none of the images.
        Error: it cannot be read.
    """
    if shards is not None:
        return _labels(table, shards, difficult)
    return next(
        filter(None, (labels_if_any(table, place, difficult) for place in _places(table))), None
    )


def labels_if_any(table: Table, shards: Path, difficult: str = "ignore") -> Labels | None:
    """The labels of a set that nobody has named; None if it is not one of these images."""
    try:
        return _labels(table, shards, difficult)
    except (OSError, Error):
        return None


def _places(table: Table) -> list[Path]:
    """Where the set of the model's training may be."""
    record = table.record
    if record is None or record.trained_on is None:
        return []
    told = record.trained_on.shards
    # older runs record their shards as typed, relative to an unknown folder
    beside = [Path(record.model.path).parent / told, table.source.absolute().parent / told]
    return [place for place in (Path(told), *beside) if (place / "dataset.json").is_file()]


def _labels(table: Table, shards: Path, difficult: str) -> Labels:
    found = Predictions(
        classes=table.classes,
        paths=tuple(table.paths(range(table.rows))),
        probabilities=np.empty((table.rows, 0), np.float32),
        failed=table.failed,
        predicted=None,
    )
    columns = align(table.classes, read_manifest(shards).classes, predictions=table.source)
    judged = choose_images(table.source, found, shards, split=ALL, model=None)
    if not (judged.row != NO_ROW).any():
        raise EvalError(f"{shards}: has none of the images of {table.source}.")
    values = np.empty((len(judged.labeled.names), len(table.classes)), np.int8)
    values[:, columns] = apply_difficult(judged.labeled.labels, difficult)
    return Labels(table, shards, judged, values)
