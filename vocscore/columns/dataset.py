"""Predictions with their labels and images, as a page or a report needs them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from vocscore.columns.labels import find_labels
from vocscore.columns.open import open_table

if TYPE_CHECKING:
    from collections.abc import Callable

    from vocscore.columns.labels import Labels
    from vocscore.columns.table import Table


@dataclass
class Dataset:
    """Predictions, and what is known about their images.

    Attributes:
        table: the predictions.
        labels: of the images; None if unknown.
        images: the source of the images: what was scored, or a packed set; None if unknown.
    """

    table: Table
    labels: Labels | None
    images: Path | None


def open_dataset(
    predictions: Path,
    *,
    labels: Path | None = None,
    images: Path | None = None,
    on_stage: Callable[[str], None] | None = None,
    on_rows: Callable[[int], None] | None = None,
) -> Dataset:
    """Open predictions, and find their labels and images.

    Args:
        predictions: as for `open_table`.
        labels: a packed set; None: that of the model's training, if the record names it and it
            has the images.
        images: a folder, shards, tars or a list; None: what was scored by the record, if it still
            exists, else the packed set.
        on_stage: called with the name of the stage that begins.
        on_rows: as for `open_table`.

    Raises:
        Error: the predictions or the labels cannot be used.
        OSError: a file cannot be read.
    """
    stage = on_stage or (lambda _name: None)
    stage("reading predictions")
    table = open_table(predictions, on_rows=on_rows)
    stage("matching labels")
    found = find_labels(table, labels)
    return Dataset(table, found, images or _images(table, found))


def _images(table: Table, labels: Labels | None) -> Path | None:
    """Where the images are by the record, else the packed set."""
    source = {} if table.record is None else table.record.source
    for name in ("path", "given"):
        place = Path(str(source.get(name, "")))
        if source.get(name) and place.is_absolute() and place.exists():
            return place
    return None if labels is None else labels.shards
