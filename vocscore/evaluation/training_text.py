"""What the user should know about the training, one line each, for an evaluation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shards.paths import shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vocscore.evaluation.eval_report import EvalReport, Training


def training_lines(report: EvalReport) -> Iterator[str]:
    """Format how many evaluated images the training used, and how that is known."""
    training, images = report.training, report.figures.images
    yield _seen(training, images)
    if training.left_out:
        many = ", ".join(f"{number} of {name}" for name, number in training.left_out.items())
        yield f"left out, because trained on: {many} (`split='all'` includes them)"
    if len(training.splits) > 1:
        counts = (
            f"{name} {split.compared} of {split.labeled}"
            + (f" ({split.trained_on} trained on)" if split.trained_on else "")
            for name, split in training.splits.items()
        )
        yield f"by split: {', '.join(counts)}"
    if training.validated_on and training.chosen:
        yield (
            f"CHOSEN ON THESE: {training.validated_on} of these {images} images were validated on, "
            f"and chose {_and(training.chosen)}: their metrics are too optimistic"
        )
    yield from map(shown, training.notes)


def subject_line(report: EvalReport) -> str:
    """Format which images were evaluated, and whether they were held out: for charts."""
    training, images = report.training, report.figures.images
    seen = f"{training.trained_on} of them trained on" if training.trained_on else "not trained on"
    assumed = " (assumed)" if training.known_by == "assumption" else ""
    return f"{', '.join(report.splits)}: {images} images, {seen}{assumed}"


def _seen(training: Training, images: int) -> str:
    """Format the count, as a warning if some images were trained on."""
    count = f"none of these {images} images was trained on"
    if training.trained_on:
        count = (
            f"NOT HELD OUT: {training.trained_on} of these {images} images were trained on: "
            "their metrics are too optimistic"
        )
    if training.known_by == "assumption":
        return (
            f"ASSUMED by the names of the splits, because {shown(training.source)}: {count} (to "
            "be certain, name the model's run with `model`)"
        )
    return f"{count} (according to {shown(training.source)})"


def _and(names: tuple[str, ...]) -> str:
    return " and ".join(f"the {name}" for name in names)
