"""Exports a checkpoint: writes the file only if its probabilities match on images."""

from __future__ import annotations

import json
import os
import shutil
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from shards import atomic
from vocscore.errors import ExportError
from vocscore.exporting.base import description
from vocscore.exporting.decoded_images import decoded
from vocscore.exporting.exported_model import ExportedModel, describe
from vocscore.exporting.exported_onnx import ExportedOnnx
from vocscore.exporting.formats import format_of
from vocscore.models.checkpoint import load_network
from vocscore.models.checkpoint_files import read_checkpoint

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from shards.sample import ImageRef
    from vocscore.exporting.base import Format, Run
    from vocscore.models.card import ModelCard
    from vocscore.models.checkpoint_files import CheckpointFiles

MOST_DIFFERENCE = 1e-4
"""Maximum difference of a probability; float32 sums in another order differ far less."""
GROUP = 16
"""Images per batch of the check."""


@dataclass(frozen=True, slots=True)
class ExportReport:
    """The result of an export.

    Attributes:
        files: the model first, its description last.
        images: number of images in the check.
        largest: largest difference of a probability from torch's.
        source: of these images, in words.
        original: what the file was compared with: 'PyTorch', or 'the run' if its network is ONNX.
    """

    files: tuple[Path, ...]
    images: int
    largest: float
    source: str
    original: str = "PyTorch"


def write_checked(
    checkpoint: Path,
    out: Path,
    *,
    images: Sequence[ImageRef],
    source: str,
    max_pixels: int,
    on_images: Callable[[int, int], None] | None = None,
    on_stage: Callable[[str], None] | None = None,
) -> ExportReport:
    """Write a checkpoint in another format, if it gives torch's probabilities.

    The new file is read back and compared with PyTorch on the same images before it gets its
    final name. An existing file is replaced.

    Args:
        checkpoint: the folder of a trained network.
        out: the new file; it ends in .onnx or .xml. Its description is written beside it.
        images: for the check; those that cannot be decoded are skipped.
        source: of the images, for the description.
        max_pixels: larger images are skipped.
        on_images: called with the number of images checked so far, and the total.
        on_stage: called with the name of each stage when it starts.

    Raises:
        ExportError: the format is unknown, its library is missing, no image could be decoded, or
            the probabilities differ; then nothing is written.
        CheckpointError: the checkpoint is damaged.
    """
    stage = on_stage or (lambda _name: None)
    made = format_of(out)
    made.require()
    stage("loading the model")
    read = read_checkpoint(checkpoint)
    card = read.card
    model = _model(read, out)
    facts = describe(card, identity=read.identity)
    with _working(out) as folder:
        file = folder / out.name
        stage(f"writing {made.name}")
        made.write(model, file, facts)
        stage("comparing")
        checked, largest = _compare(
            model,
            card,
            made.runner(file),
            images,
            max_pixels=max_pixels,
            on_images=on_images,
        )
        if not largest <= MOST_DIFFERENCE:  # also true for nan
            raise ExportError(
                f"{out}: its probabilities differ from the checkpoint's by up to {largest:.2g} on "
                f"{checked} images ({MOST_DIFFERENCE:g} is allowed). Nothing was written; "
                f"{_other(made)}."
            )
        found = {"pictures": checked, "from": source, "largest_difference": largest}
        text = json.dumps({**facts, "checked": found}, indent=2, ensure_ascii=False) + "\n"
        description(file).write_text(text, encoding="utf-8")
        _publish(made.files(file), made.files(out))
    original = "PyTorch" if card.onnx is None else "the run"
    return ExportReport(tuple(made.files(out)), checked, largest, source, original)


def _other(made: Format) -> str:
    return "try `output='FILE.xml'`" if made.suffixes[0] == ".onnx" else "try `output='FILE.onnx'`"


def _model(read: CheckpointFiles, out: Path) -> ExportedModel | ExportedOnnx:
    if read.card.onnx is not None:
        return ExportedOnnx(read, out=out)
    return ExportedModel(load_network(read), read.card)


def _compare(
    model: ExportedModel | ExportedOnnx,
    card: ModelCard,
    run: Run,
    images: Sequence[ImageRef],
    *,
    max_pixels: int,
    on_images: Callable[[int, int], None] | None,
) -> tuple[int, float]:
    """Run both on the same pixels.

    Returns:
        The number of images, and the largest difference of a probability (maybe nan).
    """
    checked, largest = 0, 0.0
    for pixels in decoded(images, card, batch_size=GROUP, max_pixels=max_pixels, refuse=_refuse):
        largest = float(np.maximum(largest, _difference(pixels, model, card, run)))
        checked += len(pixels)
        if on_images is not None:
            on_images(checked, len(images))
    return checked, largest


def _refuse(why: str) -> ExportError:
    return ExportError(
        f"{why}, and the export is checked on images. Name others with `images`, or use "
        "`drawn=True`."
    )


@torch.inference_mode()
def _difference(
    images: torch.Tensor, model: ExportedModel | ExportedOnnx, card: ModelCard, run: Run
) -> float:
    """Return the largest difference of a probability.

    The expected values are computed as in scoring, not with `ExportedModel`, which is under test.
    The first image is a batch of its own: the file must accept batches of any size.
    """
    if isinstance(model, ExportedOnnx):
        expected = model.expected(images)
    else:
        logits = model.network(card.preprocess.normalize(images))
        expected = card.probabilities(logits).numpy()
    pixels = images.permute(0, 2, 3, 1).contiguous().numpy()
    found = np.concatenate([run(part) for part in np.split(pixels, [1]) if len(part)])
    # probabilities are 1 at most; outputs without an activation may be larger
    return float(np.abs(found - expected).max() / max(1.0, float(np.abs(expected).max())))


@contextmanager
def _working(out: Path) -> Iterator[Path]:
    """Make a folder beside the output; remove it when the block ends."""
    folder = atomic.temporary(out)
    for left in atomic.leftovers(out):  # by an export that was killed
        shutil.rmtree(left, ignore_errors=True)
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _publish(made: Sequence[Path], files: Sequence[Path]) -> None:
    """Move files to their names; the first is removed first and moved last, so none is half new."""
    for file in made:
        with file.open("rb") as opened:
            os.fsync(opened.fileno())
    files[0].unlink(missing_ok=True)
    for working, file in reversed(list(zip(made, files, strict=True))):
        atomic.move(working, file)
