"""A checkpoint in 8-bit integers: calibrated and proved on packed images, or not written."""

from __future__ import annotations

from contextlib import closing
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from vocscore.errors import ExportError
from vocscore.evaluation.metrics import report
from vocscore.exporting.quantizable import load_measured
from vocscore.machine import usable_cores
from vocscore.models.card import checkpoint_hash

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from shards.reader import LabeledImages
    from vocscore.models.card import ModelCard
    from vocscore.pipeline.batch import Batch
    from vocscore.runtime import Runtime

GROUP = 32
"""Images a batch."""


@dataclass(frozen=True)
class Quantized:
    """An 8-bit network beside the checkpoint's, on the same images.

    Attributes:
        preset: of NNCF, that it was made with.
        images: that both were measured on.
        map_float32: mean average precision of the checkpoint, 0 to 1.
        map_int8: and of the 8-bit network.
        changed: share of the decisions at the thresholds that are others, 0 to 1.
        largest: difference of one probability.
    """

    preset: str
    images: int
    map_float32: float
    map_int8: float
    changed: float
    largest: float

    def holds(self, *, max_map_drop: float, max_changed: float) -> bool:
        """Whether it may be used in the checkpoint's place."""
        drop = self.map_float32 - self.map_int8
        return drop <= max_map_drop and self.changed <= max_changed


def quantize(
    checkpoint: Path,
    shards: Path,
    *,
    split: str,
    calibration_images: int,
    max_map_drop: float,
    max_changed: float,
    max_pixels: int,
    on_images: Callable[[int, int], None] | None = None,
    on_stage: Callable[[str], None] | None = None,
) -> Quantized:
    """Make the 8-bit network of a checkpoint, which `score --precision int8` runs.

    NNCF's presets are tried from the fastest on; the first that holds is written.

    Args:
        checkpoint: the folder of a trained network; the result is put into it.
        shards: a packed set with the checkpoint's classes.
        split: images to calibrate with and to measure on.
        calibration_images: that are calibrated with, at most.
        max_map_drop: by which the mean average precision may fall.
        max_changed: share of the decisions that may change.
        max_pixels: a larger image is refused before it is decoded.
        on_images: called with the images measured so far, and how many it will be at most.
        on_stage: called with what begins, in words.

    Raises:
        ExportError: other classes, an image that cannot be decoded, or no preset holds; then
            nothing is written.
        CheckpointError, SourceError, DamageError: from what is read.
    """
    stage = on_stage or (lambda _name: None)
    stage("reading labels")
    images = load_measured(checkpoint, shards, split=split)

    stage("loading the model")  # and torch with it: what could be refused was refused above
    from vocscore.models.checkpoint import load_checkpoint
    from vocscore.pipeline.loaders import open_loader
    from vocscore.runtime.int8 import PRESETS, write
    from vocscore.runtime.int8 import quantize as quantize_graph
    from vocscore.runtime.opening import open_graph, shape_of
    from vocscore.runtime.openvino import convert

    network, card = load_checkpoint(checkpoint)
    identity = checkpoint_hash(checkpoint)
    shape = shape_of(card, precision="float32", group=GROUP)
    graph = convert(network, card.preprocess, shape=shape)
    shown = _Shown(on_images, total=(1 + len(PRESETS)) * len(images.images))
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

        def batches() -> Iterator[Batch]:
            return _whole(loader.batches(images.images), images)

        stage("measuring float32")
        exact = _probabilities(open_graph(graph, card, shape=shape), batches(), card, shown)
        ranges = _calibration(batches(), calibration_images)
        tried = []
        for preset in PRESETS:
            stage(f"calibrating ({preset})")
            made = quantize_graph(graph, ranges, preset=preset)
            runtime = open_graph(made, card, shape=shape_of(card, precision="int8", group=GROUP))
            stage(f"measuring int8 ({preset})")
            found = _probabilities(runtime, batches(), card, shown)
            result = _compare(preset, images, exact, found, card=card)
            if result.holds(max_map_drop=max_map_drop, max_changed=max_changed):
                write(checkpoint, made, identity=identity, report=asdict(result))
                return result
            tried.append(
                f"{preset}: mAP {result.map_float32:.4f} to {result.map_int8:.4f}, "
                f"{result.changed:.1%} of the decisions changed"
            )
    raise ExportError(
        f"{checkpoint}: int8 is not close enough on the {len(images.images)} images of "
        f"{split!r} ({'; '.join(tried)}). Nothing was written; score in bf16 or float32, or allow "
        f"more with --max-map-drop (now {max_map_drop}) and --max-changed (now {max_changed})."
    )


def _whole(batches: Iterator[Batch], images: LabeledImages) -> Iterator[Batch]:
    for batch in batches:
        for failure in batch.failures:
            raise ExportError(
                f"{images.images[failure.row].name}: {failure.reason}: {failure.detail}. The "
                "shards hold an image that cannot be decoded; pack again without --no-verify."
            )
        yield batch


def _probabilities(
    runtime: Runtime, batches: Iterator[Batch], card: ModelCard, shown: _Shown
) -> NDArray[np.float32]:
    rows, parts = [], []
    for batch in batches:
        rows.append(batch.rows)
        parts.append(runtime.probabilities(batch.images))
        shown.add(len(batch.rows))
    order = np.concatenate(rows)
    found = np.empty((len(order), len(card.classes)), dtype=np.float32)
    found[order] = np.concatenate(parts)
    return found


def _calibration(batches: Iterator[Batch], images: int) -> list[NDArray[np.uint8]]:
    """The first images, in groups as the graph takes them; the last is filled up with them."""
    import torch

    pixels = []
    for batch in batches:
        pixels.append(batch.images.permute(0, 2, 3, 1))
        if sum(map(len, pixels)) >= images:
            break
    every = torch.cat(pixels)[:images]
    groups = -(-len(every) // GROUP)
    at = torch.arange(groups * GROUP) % len(every)
    return [every[at[n * GROUP : (n + 1) * GROUP]].contiguous().numpy() for n in range(groups)]


def _compare(
    preset: str,
    images: LabeledImages,
    exact: NDArray[np.float32],
    found: NDArray[np.float32],
    *,
    card: ModelCard,
) -> Quantized:
    from vocscore.runtime.precision import compare

    threshold: Any = card.decision_threshold
    labels = images.labels
    fidelity = compare(exact, found, threshold=threshold)
    return Quantized(
        preset=preset,
        images=len(exact),
        map_float32=report(labels, exact, threshold=threshold).mean_average_precision,
        map_int8=report(labels, found, threshold=threshold).mean_average_precision,
        changed=fidelity.changed,
        largest=fidelity.largest,
    )


class _Shown:
    """Adds images up and passes the sum on."""

    def __init__(self, on_images: Callable[[int, int], None] | None, *, total: int) -> None:
        """Show nothing yet."""
        self._on_images = on_images
        self._total = total
        self._done = 0

    def add(self, images: int) -> None:
        """So many more are done."""
        self._done += images
        if self._on_images is not None:
            self._on_images(self._done, self._total)
