"""Opens the predictions of a page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vocscore.columns.dataset import open_dataset
from vocscore.view.session import Subject

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path


def open_subjects(
    predictions: Sequence[Path],
    *,
    labels: Path | None,
    images: Path | None,
    on_stage: Callable[[str], None] | None = None,
    on_rows: Callable[[int], None] | None = None,
) -> tuple[Subject, ...]:
    """Open one run, or two to be compared.

    Args:
        predictions: as for `open_dataset`.
        labels: as for `open_dataset`.
        images: as for `open_dataset`.
        on_stage: as for `open_dataset`.
        on_rows: as for `open_dataset`.

    Raises:
        Error: they cannot be used.
        OSError: a file cannot be read.
    """
    return tuple(
        Subject(
            number,
            open_dataset(file, labels=labels, images=images, on_stage=on_stage, on_rows=on_rows),
        )
        for number, file in enumerate(predictions)
    )
