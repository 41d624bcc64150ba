"""A checkpoint as a file for other programs: proved on pictures, or not written."""

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
from vocscore.export.formats import description, format_of
from vocscore.export.whole import Whole, describe
from vocscore.machine import usable_cores
from vocscore.models.card import checkpoint_hash
from vocscore.models.checkpoint import load_checkpoint
from vocscore.pipeline.makers import open_maker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from shards.sample import PictureRef
    from vocscore.export.formats import Format, Run
    from vocscore.models.card import ModelCard
    from vocscore.models.network import Network

MOST_DIFFERENCE = 1e-4
"""In probability, on one class of one picture: float32 in another order of sums stays far below."""
GROUP = 16
"""Pictures a batch of the check."""


@dataclass(frozen=True, slots=True)
class Exported:
    """A network that was written.

    Attributes:
        files: the model first, its description last.
        pictures: that it was checked on.
        largest: difference of one probability to torch's.
        source: of these pictures, in words.
    """

    files: tuple[Path, ...]
    pictures: int
    largest: float
    source: str


def write_checked(
    checkpoint: Path,
    out: Path,
    *,
    pictures: Sequence[PictureRef],
    source: str,
    max_pixels: int,
    on_pictures: Callable[[int, int], None] | None = None,
    on_stage: Callable[[str], None] | None = None,
) -> Exported:
    """Write a checkpoint in another format, once it gives torch's probabilities.

    What was written is read back and run beside PyTorch on the same pictures, before it takes its
    name. A file that is there already is replaced.

    Args:
        checkpoint: the folder of a trained network.
        out: the new file; it ends in .onnx or .xml. Its description lies beside it.
        pictures: to check it on; those that cannot be decoded are passed over.
        source: of the pictures, for the description.
        max_pixels: a larger picture is passed over.
        on_pictures: called with the pictures checked so far, and how many it will be.
        on_stage: called with what begins, in words.

    Raises:
        ExportError: no such format, it cannot be had, no picture could be decoded, or the
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
            pictures,
            max_pixels=max_pixels,
            on_pictures=on_pictures,
        )
        if not largest <= MOST_DIFFERENCE:  # nan, too
            raise ExportError(
                f"{out}: its probabilities differ from the checkpoint's by up to {largest:.2g} on "
                f"{checked} pictures ({MOST_DIFFERENCE:g} is allowed). Nothing was written; "
                f"{_other(made)}."
            )
        found = {"pictures": checked, "from": source, "largest_difference": largest}
        text = json.dumps({**facts, "checked": found}, indent=2, ensure_ascii=False) + "\n"
        description(file).write_text(text, encoding="utf-8")
        _publish(made.files(file), made.files(out))
    return Exported(tuple(made.files(out)), checked, largest, source)


def _other(made: Format) -> str:
    return "try -o FILE.xml" if made.suffixes[0] == ".onnx" else "try -o FILE.onnx"


def _compare(
    network: Network,
    card: ModelCard,
    run: Run,
    pictures: Sequence[PictureRef],
    *,
    max_pixels: int,
    on_pictures: Callable[[int, int], None] | None,
) -> tuple[int, float]:
    """Run both on the same pixels.

    Returns:
        The number of pictures, and the largest difference of a probability (maybe nan).
    """
    checked, largest = 0, 0.0
    for images in _decoded(pictures, card, max_pixels=max_pixels):
        largest = float(np.maximum(largest, _difference(images, network, card, run)))
        checked += len(images)
        if on_pictures is not None:
            on_pictures(checked, len(pictures))
    return checked, largest


def _decoded(
    pictures: Sequence[PictureRef], card: ModelCard, *, max_pixels: int
) -> Iterator[torch.Tensor]:
    """Batches of the pictures that can be decoded, uint8 (N, 3, S, S); at least one."""
    some, last = False, ""
    with closing(
        open_maker(
            "host",
            card.preprocess,
            batch_size=GROUP,
            device="cpu",
            threads=usable_cores(),
            max_pixels=max_pixels,
        )
    ) as maker:
        for batch in maker.batches(pictures):
            for failure in batch.failures:
                last = f"{pictures[failure.row].name}: {failure.reason}: {failure.detail}"
            if len(batch.rows):
                some = True
                yield batch.images
    if not some:
        raise ExportError(
            f"none of {len(pictures)} pictures can be decoded ({last}), and an export is checked "
            "on pictures. Name others with --images, or give --drawn."
        )


@torch.inference_mode()
def _difference(images: torch.Tensor, network: Network, card: ModelCard, run: Run) -> float:
    """The largest difference of a probability.

    The checkpoint's way is that of scoring, and not `Whole`, which is what is to be proved. The
    first picture goes alone: the file must take batches of any size.
    """
    expected = card.probabilities(network(card.preprocess.normalise(images))).numpy()
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
