"""What a reader of a report must know about its figures, one sentence each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from vocscore.evaluation.evaluate import training_of
from vocscore.evaluation.labeled import NO_ROW
from vocscore.reporting.quality import RESAMPLED
from vocscore.reporting.texts import counted, visible

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vocscore.columns.labels import Labels
    from vocscore.columns.table import Table
    from vocscore.reporting.quality import Quality


def notes(table: Table, labels: Labels | None, quality: Quality | None) -> Iterator[str]:
    """The notes about a table and its figures, as text that can be shown."""
    if not table.complete:
        yield "The run is still scoring; this report covers the images that were done."
    yield from map(visible, table.columns.about.notes)
    if not table.columns.about.has_all:
        yield "Some probabilities were not written: only the largest ones, or only labels."
    if labels is None:
        yield "No labels were named or found, so there are no metrics."
        return
    if quality is None:
        yield "No labeled image has all probabilities, so no metrics can be computed."
        return
    yield from map(visible, _training(labels, quality))
    yield from _coverage(table, labels)
    if quality.intervals is None and len(quality.compared.rows) > RESAMPLED:
        yield (
            f"No confidence intervals, because more than {RESAMPLED:,} images are compared; "
            "'vocscore eval' computes them."
        )


def _training(labels: Labels, quality: Quality) -> Iterator[str]:
    """How the model's training used the compared images, and how that is known."""
    judged = labels.judged
    compared = np.zeros(len(judged.row), np.bool_)
    has_row = judged.row != NO_ROW
    compared[has_row] = np.isin(judged.row[has_row], quality.compared.rows)
    training = training_of(judged, compared)
    images = len(quality.compared.rows)
    if training.trained_on:
        yield (
            f"NOT HELD OUT: {training.trained_on:,} of the {images:,} images with metrics were "
            "trained on, so the metrics are too optimistic."
        )
    elif training.known_by == "assumption":
        yield (
            f"The metrics cover {counted(images, 'labeled image')} that the model is assumed not "
            f"to have been trained on, by the names of the splits, because {training.source}."
        )
    else:
        yield (
            f"The metrics cover {counted(images, 'labeled image')} that the model was not trained "
            f"on, according to {training.source}."
        )
    if labels.left_out and not training.trained_on:
        left = counted(labels.left_out, "image")
        yield f"{left} that the model was trained on are left out of the metrics."
    if training.validated_on and training.chosen:
        chosen = " and ".join(f"the {name}" for name in training.chosen)
        yield (
            f"{training.validated_on:,} of these images were validated on, and chose {chosen}: "
            "their metrics are slightly optimistic."
        )
    yield from training.notes


def _coverage(table: Table, labels: Labels) -> Iterator[str]:
    """Labeled images without metrics, and how paths were matched."""
    judged = labels.judged
    missing = int(((judged.row == NO_ROW) & ~judged.seen.trained).sum())
    failed = int((labels.has & ~labels.trained & table.failed).sum())
    if missing or failed:
        yield (
            f"Not in the metrics: {counted(missing, 'labeled image')} without a row and "
            f"{counted(failed, 'labeled image')} with an error."
        )
    unlabeled = int((~labels.has).sum())
    if unlabeled:
        yield f"Not in the metrics: {counted(unlabeled, 'scored image')} without labels."
    if not judged.exact:
        yield "Paths of predictions and labels differ; they were matched by their endings."
