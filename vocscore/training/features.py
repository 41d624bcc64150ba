"""Features of a frozen backbone: computed once, used in every epoch."""

from __future__ import annotations

import shlex
from collections import deque
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from vocscore.errors import TrainError
from vocscore.pipeline.devices import bring, is_gpu, on_device
from vocscore.ranks import ALONE
from vocscore.runtime.cuda import fetched_later
from vocscore.runtime.load import open_backbone
from vocscore.training.distributed import gather
from vocscore.training.trainer import share

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from shards.reader import LabeledImages
    from shards.sample import ImageRef
    from vocscore.pipeline.augment import Views
    from vocscore.pipeline.batch import Batch, Failure, ImageLoader
    from vocscore.pipeline.preprocess import Preprocess
    from vocscore.ranks import Ranks
    from vocscore.runtime.base import Results


FEATURE_BATCH = 32
"""Images per batch; it does not affect how the head is trained."""
_EAGER_IN_FLIGHT = 3
"""Batches queued on a GPU whose features are not yet fetched."""


@dataclass(frozen=True, slots=True)
class Features:
    """The backbone's features of one split, in the order of its images.

    Attributes:
        values: on the CPU; float32, shape (N, F): 4 F bytes per image, 8 KB for ResNet-50. Of a
            head on maps float16, shape (N, F, h, w): 64 KB for ResNet-18 at 256 pixels.
        labels: int8, shape (N, C): 1 present, 0 absent, -1 only difficult.
    """

    values: torch.Tensor
    labels: NDArray[np.int8]


@dataclass(frozen=True, slots=True)
class Decoding:
    """How the images of a split are decoded and reach a network.

    Attributes:
        loader: decodes them.
        preprocess: how pixels become the network's input.
        device: where the network is.
        batch_size: the loader's batch size.
        on_images: called with the number of images done since the last call, estimated over all
            processes; with 0 when the first image is started.
        ranks: the processes that share the images.
    """

    loader: ImageLoader
    preprocess: Preprocess
    device: torch.device
    batch_size: int
    on_images: Callable[[int], None]
    ranks: Ranks = ALONE

    def input(self, batch: Batch) -> torch.Tensor:
        """Normalized float32 pixels (N, 3, S, S) on the device, channels-last."""
        pixels = self.preprocess.normalize(bring(batch.images, self.device))
        return pixels.contiguous(memory_format=torch.channels_last)

    def batches(
        self, split: LabeledImages, rows: NDArray[np.int64], *, views: Views | None = None
    ) -> Iterator[Batch]:
        """Decode this process's images of a split, each exactly once.

        Args:
            split: images and labels.
            rows: the images to decode, in order; the other processes take the others.
            views: the augmentation per image; None: none.

        Raises:
            TrainError: an image cannot be decoded.
        """
        times = np.zeros(len(split.images), dtype=np.int64)
        told = 0
        self.on_images(0)
        for batch in self.loader.batches(
            split.images, labels=split.labels, order=rows.tolist(), views=views
        ):
            if batch.failures:
                bad = batch.failures[0]
                raise TrainError(_undecodable(split.images[bad.row], bad))
            np.add.at(times, batch.rows, 1)
            yield batch
            done = int(times.sum()) * len(split.images) // len(rows)
            self.on_images(done - told)
            told = done
        times[rows] -= 1
        assert not times.any(), f"rows not decoded once: {np.flatnonzero(times)[:5]}"


def compute_features(
    backbone: nn.Module,
    splits: Sequence[LabeledImages],
    *,
    decoding: Decoding,
    bf16: bool,
    shape: tuple[int, ...] | None = None,
) -> list[Features]:
    """Compute the backbone's features of every image of some splits.

    Each process takes a contiguous run of whole batches, so that batches are the same as with one
    process.

    On a CPU, OpenVINO runs the backbone, as in scoring.

    Args:
        backbone: set to evaluation mode, so that dropout and batch statistics are inactive.
        splits: images and labels.
        decoding: how images are decoded; its loader's batches are the backbone's.
        bf16: compute in bf16 instead of float32.
        shape: (F, h, w), if the backbone's outputs are maps; they are stored in float16, whose
            rounding is that of 11 bits.

    Returns:
        Features per split; in every process but the first, an empty list.

    Raises:
        TrainError: an image cannot be decoded, or a map does not fit into float16.
    """
    if shape is not None:
        backbone = nn.Sequential(backbone, nn.Flatten())  # runtimes return rows
    if not is_gpu(decoding.device):
        runtime = open_backbone(
            backbone,
            decoding.preprocess,
            precision="bf16" if bf16 else "float32",
            group=decoding.batch_size,
        )
        run = partial(_run_ahead, lambda batch: runtime.submit(batch.images), runtime.in_flight)
    else:
        backbone.eval().to(decoding.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        submit = partial(_submit_eager, backbone, decoding, bf16=bf16)
        run = partial(_run_ahead, submit, _EAGER_IN_FLIGHT)
    found = []
    for split in splits:
        rows = _whole_batches(split, decoding)
        dtype = torch.float32 if shape is None else torch.float16
        own = _in_order(run(split, rows, decoding), rows, dtype=dtype)
        if shape is not None and not bool(own.isfinite().all()):
            raise TrainError(
                f"a feature of the backbone is above {torch.finfo(dtype).max:g}, the largest "
                f"number of float16, in which maps are stored. Use `head='linear'`, or another "
                f"backbone."
            )
        parts = gather(own, decoding.ranks)
        if parts:
            values = _joined(parts)
            values = values if shape is None else torch.unflatten(values, 1, shape)
            found.append(Features(values=values, labels=split.labels))
    return found


def _undecodable(image: ImageRef, failure: Failure) -> str:
    shards = str(Path(image.file).parent)
    if image.sha256 is not None:  # it was decoded before it was packed
        command = shlex.join(["vocscore", "verify", shards])
        return (
            f"{image.name}: {failure.fault}. The shards were damaged after they were packed: copy "
            f"them again, or pack again. To list every problem: {command}"
        )
    command = shlex.join(["vocscore", "verify", shards, "--decode"])
    return (
        f"{image.name}: {failure.fault}. The shards hold an image that cannot "
        f"be decoded: pack again without `verify=False`. To list all such images: {command}"
    )


def _whole_batches(split: LabeledImages, decoding: Decoding) -> NDArray[np.int64]:
    """The rows that this process takes."""
    size, refs = decoding.batch_size, len(split.images)
    batches = share(np.arange(-(-refs // size)), decoding.ranks)
    return np.arange(refs)[np.isin(np.arange(refs) // size, batches)]


def _joined(parts: list[torch.Tensor]) -> torch.Tensor:
    """Concatenate; a single part is not copied."""
    full = [part for part in parts if len(part)]
    return full[0] if len(full) == 1 else torch.cat(full)


def _run_ahead(
    submit: Callable[[Batch], Results],
    in_flight: int,
    split: LabeledImages,
    rows: NDArray[np.int64],
    decoding: Decoding,
) -> Iterator[tuple[NDArray[np.int64], torch.Tensor]]:
    """Yield rows and features; some batches run while the next are decoded."""
    waiting: deque[tuple[NDArray[np.int64], Results]] = deque()
    for batch in decoding.batches(split, rows):
        waiting.append((batch.rows, submit(batch)))
        if len(waiting) >= in_flight:
            done, results = waiting.popleft()
            yield done, torch.from_numpy(results())
    for done, results in waiting:
        yield done, torch.from_numpy(results())


def _submit_eager(backbone: nn.Module, decoding: Decoding, batch: Batch, *, bf16: bool) -> Results:
    """Start a batch in eager mode, layer by layer."""
    with (  # only around the network: the mode would leak into the loader
        torch.inference_mode(),
        torch.autocast(decoding.device.type, torch.bfloat16, enabled=bf16),
        on_device(decoding.device),
    ):
        features = backbone(decoding.input(batch)).float()
        return fetched_later(features, batch.images)


def _in_order(
    parts: Iterator[tuple[NDArray[np.int64], torch.Tensor]],
    rows: NDArray[np.int64],
    *,
    dtype: torch.dtype,
) -> torch.Tensor:
    """Features in the order of `rows`, which are contiguous; (0, 0) without rows."""
    values = torch.empty(0, 0, dtype=dtype)
    for at, part in parts:
        if not len(values):  # made outside inference mode: autograd rejects inference tensors
            values = torch.empty(len(rows), part.shape[1], dtype=dtype)
        values[torch.from_numpy(at - rows[0])] = part.to(dtype)
    return values
