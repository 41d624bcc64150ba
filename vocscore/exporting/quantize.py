"""Quantizes a checkpoint to 8 bits: calibrated and measured on packed images."""

from __future__ import annotations

from contextlib import closing
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from vocscore.config.exporting import QuantizeConfig
from vocscore.device import CPU
from vocscore.errors import AcceptanceError, ExportError
from vocscore.evaluation.metrics import report
from vocscore.exporting.quantizable import load_measured
from vocscore.exporting.run_images import trained_on, validated_on
from vocscore.machine import usable_cores
from vocscore.printed import Printed
from vocscore.records.keys import stored

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from shards.reader import LabeledImages
    from vocscore.config.exporting import AcceptanceConfig, CalibrationConfig
    from vocscore.models.card import ModelCard
    from vocscore.pipeline.batch import Batch
    from vocscore.runtime.base import Runtime

GROUP = 32
"""Images per batch."""


@dataclass(frozen=True)
class QuantizeReport(Printed):
    """An 8-bit network compared with the checkpoint's, on the same images.

    Attributes:
        preset: one of `vocscore.runtime.int8.PRESETS`.
        images: number of images that both were measured on.
        map_float32: mean average precision of the checkpoint, 0 to 1.
        map_int8: mean average precision of the 8-bit network.
        changed: share of the decisions at the thresholds that differ, 0 to 1.
        largest: largest difference of a probability.
    """

    preset: str
    images: int
    map_float32: float
    map_int8: float
    changed: float
    largest: float

    @property
    def faithful(self) -> bool:
        """Whether it is close enough for `score --precision auto`."""
        from vocscore.runtime.precision import Fidelity

        return Fidelity(self.images, self.largest, self.changed).faithful

    def __str__(self) -> str:
        """Return both figures, and what `score` does with it, one line each."""
        use = (
            "by default, where it is faster"
            if self.faithful
            else "with `precision='int8'` only: auto takes less of a difference"
        )
        return (
            f"mAP: float32 {self.map_float32:.4f}, int8 {self.map_int8:.4f}\n"
            f"decisions changed: {self.changed:.2%}; largest difference in probability: "
            f"{self.largest:.3f}\n"
            f"'vocscore score' takes the int8 model {use}"
        )

    def holds(self, limits: AcceptanceConfig) -> bool:
        """Whether the 8-bit network is within the limits."""
        drop = self.map_float32 - self.map_int8
        return drop <= limits.max_map_drop and self.changed <= limits.max_changed


def measured_on(checkpoint: Path, data: CalibrationConfig) -> CalibrationConfig:
    """Fill in the shards and the split: by default those of the run.

    Raises:
        ExportError: it is not a finished run.
        OptionError: the run does not name its shards, or they no longer exist.
        Error: the shards cannot be read.
    """
    shards = data.shards or trained_on(checkpoint, instead="Use `shards`.")
    return replace(data, shards=shards, split=data.split or validated_on(checkpoint, shards))


def quantize(
    checkpoint: Path,
    config: QuantizeConfig | None = None,
    *,
    on_images: Callable[[int, int], None] | None = None,
    on_stage: Callable[[str], None] | None = None,
) -> QuantizeReport:
    """Make the 8-bit network of a checkpoint, which `score --precision int8` runs.

    Presets are tried, the fastest first, until one is faithful, which `score` takes by default. If
    none is, the first one within the limits is written.

    Args:
        checkpoint: the folder of a trained network; the result is written there.
        config: the images to measure on, and the limits.
        on_images: called with the number of images measured so far, and the maximum total.
        on_stage: called with the name of each stage as it starts.

    Raises:
        AcceptanceError: no preset is within the limits; then nothing is written.
        ExportError: other classes, or an image that cannot be decoded.
        OptionError: the run does not name its shards, or they no longer exist.
        CheckpointError, SourceError, DamageError: from reading the inputs.
    """
    stage = on_stage or (lambda _name: None)
    config = config or QuantizeConfig()
    data, limits = measured_on(checkpoint, config.data), config.acceptance
    assert data.shards is not None
    assert data.split is not None
    stage("reading labels")
    images = load_measured(checkpoint, data.shards, split=data.split)

    stage("loading the model")  # imports torch: errors that need no torch were raised above
    from vocscore.models.checkpoint_files import read_checkpoint
    from vocscore.pipeline.loaders import open_loader
    from vocscore.runtime.int8 import PRESETS, write
    from vocscore.runtime.int8 import quantize as quantize_graph
    from vocscore.runtime.load import converted, open_graph, shape_of

    files = read_checkpoint(checkpoint)
    card = files.card
    shape = shape_of(card, precision="float32", group=GROUP)
    graph = converted(files, card, shape=shape)
    shown = _Shown(on_images, total=(1 + len(PRESETS)) * len(images.images))
    with closing(
        open_loader(
            "host",
            card.preprocess,
            batch_size=GROUP,
            device=CPU,
            threads=usable_cores(),
            max_pixels=data.max_pixels,
        )
    ) as loader:

        def batches() -> Iterator[Batch]:
            return _whole(loader.batches(images.images), images)

        stage("measuring float32")
        exact = _probabilities(open_graph(graph, card, shape=shape), batches(), card, shown)
        ranges = _calibration(batches(), data.calibration_images, group=shape.group)
        tried: list[tuple[QuantizeReport, Any]] = []
        for preset in PRESETS:
            stage(f"calibrating ({preset})")
            made = quantize_graph(graph, ranges, preset=preset)
            runtime = open_graph(made, card, shape=shape_of(card, precision="int8", group=GROUP))
            stage(f"measuring int8 ({preset})")
            found = _probabilities(runtime, batches(), card, shown)
            result = _compare(preset, images, exact, found, card=card)
            tried.append((result, made))
            if result.faithful and result.holds(limits):
                break
    usable = [one for one in tried if one[0].holds(limits)]
    if usable:
        result, made = next((one for one in usable if one[0].faithful), usable[0])
        write(checkpoint, made, identity=files.identity, report=stored(asdict(result)))
        return result
    figures = "; ".join(
        f"{result.preset}: mAP {result.map_float32:.4f} to {result.map_int8:.4f}, "
        f"{result.changed:.1%} of the decisions changed"
        for result, _ in tried
    )
    raise AcceptanceError(
        f"{checkpoint}: int8 is not close enough on the {len(images.images)} images of "
        f"{data.split!r} ({figures}). Nothing was written; score in bf16 or float32, or "
        f"allow more with `max_map_drop` (now {limits.max_map_drop}) and `max_changed` (now "
        f"{limits.max_changed})."
    )


def _whole(batches: Iterator[Batch], images: LabeledImages) -> Iterator[Batch]:
    for batch in batches:
        for failure in batch.failures:
            ref = images.images[failure.row]
            why = "hold an image that cannot be decoded; pack again without `verify=False`."
            if ref.sha256 is not None:  # it was decoded before it was packed
                why = "were damaged after they were packed; copy them again, or pack again."
            raise ExportError(f"{ref.name}: {failure.fault}. The shards {why}")
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


def _calibration(batches: Iterator[Batch], images: int, *, group: int) -> list[NDArray[np.uint8]]:
    """The first images, in batches of the graph's size; the last batch repeats some of them."""
    import torch

    pixels = []
    for batch in batches:
        pixels.append(batch.images.permute(0, 2, 3, 1))
        if sum(map(len, pixels)) >= images:
            break
    every = torch.cat(pixels)[:images]
    groups = -(-len(every) // group)
    at = torch.arange(groups * group) % len(every)
    return [every[at[n * group : (n + 1) * group]].contiguous().numpy() for n in range(groups)]


def _compare(
    preset: str,
    images: LabeledImages,
    exact: NDArray[np.float32],
    found: NDArray[np.float32],
    *,
    card: ModelCard,
) -> QuantizeReport:
    from vocscore.runtime.precision import compare

    threshold: Any = card.decision_threshold
    labels = images.labels
    fidelity = compare(exact, found, threshold=threshold, activation=card.activation)
    return QuantizeReport(
        preset=preset,
        images=len(exact),
        map_float32=report(labels, exact, threshold=threshold).mean_average_precision,
        map_int8=report(labels, found, threshold=threshold).mean_average_precision,
        changed=fidelity.changed,
        largest=fidelity.largest,
    )


class _Shown:
    """Counts images and reports the sum."""

    def __init__(self, on_images: Callable[[int, int], None] | None, *, total: int) -> None:
        self._on_images = on_images
        self._total = total
        self._done = 0

    def add(self, images: int) -> None:
        """Count more images."""
        self._done += images
        if self._on_images is not None:
            self._on_images(self._done, self._total)
