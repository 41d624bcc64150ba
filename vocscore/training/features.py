"""Features of a frozen backbone: computed once, used in every epoch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from vocscore.errors import TrainError
from vocscore.runtime.eager import to_device

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray
    from torch import nn

    from shards.reader import LabelledPictures
    from vocscore.pipeline.batch import Batch, Maker
    from vocscore.pipeline.preprocess import Preprocess


@dataclass(frozen=True, slots=True)
class Features:
    """What a backbone makes of one split, in the order of its pictures.

    Attributes:
        values: float32, shape (N, F), on the CPU: 4 F bytes a picture, 8 KB for ResNet-50.
        labels: int8, shape (N, C): 1 present, 0 absent, -1 only difficult.
    """

    values: torch.Tensor
    labels: NDArray[np.int8]


@dataclass(frozen=True, slots=True)
class Decoding:
    """How the pictures of a split reach a network.

    Attributes:
        maker: decodes them.
        preprocess: how pixels become the network's input.
        device: where the network is.
        on_pictures: called with the number of pictures done since the last call.
    """

    maker: Maker
    preprocess: Preprocess
    device: torch.device
    on_pictures: Callable[[int], None]

    def input(self, batch: Batch) -> torch.Tensor:
        """Normalised float32 pixels (N, 3, S, S) on the device, channels-last."""
        pixels = self.preprocess.normalise(to_device(batch.images, self.device))
        return pixels.contiguous(memory_format=torch.channels_last)

    def batches(
        self, split: LabelledPictures, *, order: NDArray[np.int64] | None = None
    ) -> Iterator[Batch]:
        """Decode every picture of a split exactly once.

        Args:
            split: pictures and labels.
            order: a permutation of the rows; None for their own order.

        Raises:
            TrainError: a picture cannot be decoded.
        """
        times = np.zeros(len(split.pictures), dtype=np.int64)
        rows = None if order is None else order.tolist()
        for batch in self.maker.batches(split.pictures, labels=split.labels, order=rows):
            if batch.failures:
                bad = batch.failures[0]
                raise TrainError(
                    f"{split.pictures[bad.row].name}: {bad.reason}: {bad.detail}. The shards hold "
                    f"a picture that cannot be decoded: 'vocscore verify --decode' lists them all; "
                    f"pack again without --no-verify."
                )
            np.add.at(times, batch.rows, 1)
            yield batch
        assert (times == 1).all(), f"rows not decoded once: {np.flatnonzero(times != 1)[:5]}"


def compute_features(
    backbone: nn.Module, split: LabelledPictures, *, decoding: Decoding
) -> Features:
    """Send every picture of a split through a backbone, once.

    Args:
        backbone: on the device; it is set to evaluation mode, so that dropout and batch statistics
            are inert.
        split: pictures and labels.
        decoding: how the pictures reach it.

    Raises:
        TrainError: a picture cannot be decoded.
    """
    backbone.eval()
    parts, rows = [], []
    for batch in decoding.batches(split):
        with torch.inference_mode():  # the network alone: the mode would leak into the maker
            parts.append(backbone(decoding.input(batch)).float().cpu())
        rows.append(batch.rows)
        decoding.on_pictures(len(batch.rows))
    # A tensor from outside inference mode: autograd refuses those that were born in it.
    values = torch.empty(len(split.pictures), parts[0].shape[1])
    for at, part in zip(rows, parts, strict=True):
        values[torch.from_numpy(at)] = part
    return Features(values=values, labels=split.labels)
