"""Tables of single decisions: mistakes and suspects, as CSV."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any

import numpy as np

from shards import atomic
from vocscore.evaluation.losses import losses
from vocscore.evaluation.suspects import find_suspects

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from vocscore.evaluation.eval_report import EvalReport

MISTAKES = ("path", "class", "probability", "threshold", "kind", "loss")
SUSPECTS = ("path", "class", "label", "probability", "self_confidence", "image_quality")


def write_mistakes(file: Path, report: EvalReport) -> int:
    """Write one row per wrong decision, the greatest loss first.

    Columns: `path` (as in the labeled set), `class`, `probability`, `threshold` (empty if unknown),
    `kind` ('false_positive' or 'false_negative') and `loss` (binary cross entropy, nats).

    Returns:
        The number of rows.

    Raises:
        OSError: it cannot be written; an existing file is as it was.
    """
    rows = list(_mistakes(report))
    _write(file, MISTAKES, rows)
    return len(rows)


def write_suspects(file: Path, report: EvalReport) -> int:
    """Write one row per suspicious label, the most suspicious first; see `find_suspects`.

    Columns: `path` (as in the labeled set), `class`, `label` (1 or 0), `probability`,
    `self_confidence`, and `image_quality`, which is low for images with wrong labels.

    Returns:
        The number of rows.

    Raises:
        OSError: it cannot be written; an existing file is as it was.
    """
    rows = list(_suspects(report))
    _write(file, SUSPECTS, rows)
    return len(rows)


def _mistakes(report: EvalReport) -> Iterator[Sequence[Any]]:
    found = report.decisions
    wrong = (found.labels >= 0) & (found.predicted != (found.labels == 1))
    images, classes = np.nonzero(wrong)
    values = found.probabilities[images, classes]
    loss = losses(found.labels[images, classes], values)
    for at in np.lexsort((classes, images, -loss)):
        image, c = int(images[at]), int(classes[at])
        threshold = "" if found.thresholds is None else f"{found.thresholds[c]:g}"
        kind = "false_positive" if found.predicted[image, c] else "false_negative"
        name = report.classes[c]
        yield found.paths[image], name, _digits(values[at]), threshold, kind, f"{loss[at]:.6g}"


def _suspects(report: EvalReport) -> Iterator[Sequence[Any]]:
    found = report.decisions
    suspects = find_suspects(found.labels, found.probabilities)
    rows = zip(suspects.images, suspects.classes, suspects.self_confidence, strict=True)
    for image, c, confidence in rows:
        yield (
            found.paths[image],
            report.classes[c],
            int(found.labels[image, c]),
            _digits(found.probabilities[image, c]),
            _digits(confidence),
            _digits(suspects.quality[image]),
        )


def _digits(value: np.floating[Any]) -> str:
    """The shortest text that reads back as the same float32."""
    return np.format_float_positional(np.float32(value), trim="0")


def _write(file: Path, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    with atomic.replacing(file) as opened:
        text = io.TextIOWrapper(opened, "utf-8", "surrogateescape", newline="", write_through=True)
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)
        text.detach()
