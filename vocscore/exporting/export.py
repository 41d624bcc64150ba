"""A checkpoint as a file for other programs: proved on images, or not written."""

from __future__ import annotations

import json
import os
import shutil
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from shards import atomic
from vocscore.errors import ExportError
from vocscore.exporting.formats import description, format_of
from vocscore.exporting.whole import Whole, describe
from vocscore.machine import usable_cores
from vocscore.models.card import checkpoint_hash
from vocscore.models.checkpoint import load_checkpoint
from vocscore.pipeline.loaders import open_loader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from shards.sample import ImageRef
    from vocscore.exporting.formats import Format, Run
    from vocscore.models.card import ModelCard
    from vocscore.models.network import Network

MOST_DIFFERENCE = 1e-4
"""In probability, on one class of one image: float32 in another order of sums stays far below."""
GROUP = 16
"""Images a batch of the check."""


@dataclass(frozen=True, slots=True)
class Exported:
    """A network that was written.

    Attributes:
        files: the model first, its description last.
        images: that it was checked on.
        largest: difference of one probability to torch's.
    """

    files: tuple[Path, ...]
    images: int
    largest: float


def export(
    checkpoint: Path,
    out: Path,
    *,
    images: Sequence[ImageRef],
    source: str,
    max_pixels: int,
    on_images: Callable[[int, int], None] | None = None,
    on_stage: Callable[[str], None] | None = None,
) -> Exported:
    """Write a checkpoint in another format, once it gives torch's probabilities.

    What was written is read back and run beside PyTorch on the same images, before it takes its
    name. A file that is there already is replaced.

    Args:
        checkpoint: the folder of a trained network.
        out: the new file; it ends in .onnx or .xml. Its description lies beside it.
        images: to check it on; those that cannot be decoded are passed over.
        source: of the images, for the description.
        max_pixels: a larger image is passed over.
        on_images: called with the images checked so far, and how many it will be.
        on_stage: called with what begins, in words.

    Raises:
        ExportError: no such format, it cannot be had, no image could be decoded, or the
            probabilities differ; then nothing is written.
        CheckpointError: the checkpoint is damaged.
    """
    stage = on_stage or (lambda _name: None)
    made = format_of(out)
    made.require()
    stage("loading the model")
    network, card = load_checkpoint(checkpoint)
    facts = describe(card, identity=checkpoint_hash(checkpoint))
    with _working(out) as folder:
        file = folder / out.name
        stage(f"writing {made.name}")
        made.write(Whole(network, card), file, facts)
        stage("comparing")
        checked, largest = _compare(
            network,
            card,
            made.runner(file),
            images,
            max_pixels=max_pixels,
            on_images=on_images,
        )
        if not largest <= MOST_DIFFERENCE:  # nan, too
            raise ExportError(
                f"{out}: its probabilities differ from the checkpoint's by up to {largest:.2g} on "
                f"{checked} images ({MOST_DIFFERENCE:g} is allowed). Nothing was written; "
                f"{_other(made)}."
            )
        found = {"pictures": checked, "from": source, "largest_difference": largest}
        text = json.dumps({**facts, "checked": found}, indent=2, ensure_ascii=False) + "\n"
        description(file).write_text(text, encoding="utf-8")
        _publish(made.files(file), made.files(out))
    return Exported(tuple(made.files(out)), checked, largest)


def _other(made: Format) -> str:
    return "try -o FILE.xml" if made.suffixes[0] == ".onnx" else "try -o FILE.onnx"


def _compare(
    network: Network,
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
    for pixels in _decoded(images, card, max_pixels=max_pixels):
        largest = float(np.maximum(largest, _difference(pixels, network, card, run)))
        checked += len(pixels)
        if on_images is not None:
            on_images(checked, len(images))
    return checked, largest


def _decoded(
    images: Sequence[ImageRef], card: ModelCard, *, max_pixels: int
) -> Iterator[torch.Tensor]:
    """Batches of the images that can be decoded, uint8 (N, 3, S, S); at least one."""
    some, last = False, ""
    with closing(
        open_loader(
            "host",
            card.preprocess,
            batch_size=GROUP,
            device="cpu",
            threads=usable_cores(),
            max_pixels=max_pixels,
        )
    ) as loader:
        for batch in loader.batches(images):
            for failure in batch.failures:
                last = f"{images[failure.row].name}: {failure.reason}: {failure.detail}"
            if len(batch.rows):
                some = True
                yield batch.images
    if not some:
        raise ExportError(
            f"none of {len(images)} images can be decoded ({last}), and an export is checked "
            "on images. Name others with --images, or give --drawn."
        )


@torch.inference_mode()
def _difference(images: torch.Tensor, network: Network, card: ModelCard, run: Run) -> float:
    """The largest difference of a probability.

    The checkpoint's way is that of scoring, and not `Whole`, which is what is to be proved. The
    first image goes alone: the file must take batches of any size.
    """
    expected = card.probabilities(network(card.preprocess.normalize(images))).numpy()
    pixels = images.permute(0, 2, 3, 1).contiguous().numpy()
    found = np.concatenate([run(part) for part in np.split(pixels, [1]) if len(part)])
    return float(np.abs(found - expected).max())


@contextmanager
def _working(out: Path) -> Iterator[Path]:
    """A folder beside the result, gone when the block ends."""
    folder = atomic.temporary(out)
    shutil.rmtree(folder, ignore_errors=True)  # of an export that was killed
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _publish(made: Sequence[Path], files: Sequence[Path]) -> None:
    """Give files their names: the first one goes first and comes last, so that none is half new."""
    for file in made:
        with file.open("rb") as opened:
            os.fsync(opened.fileno())
    files[0].unlink(missing_ok=True)
    for working, file in reversed(list(zip(made, files, strict=True))):
        atomic.move(working, file)
