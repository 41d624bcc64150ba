"""The training loop that people write."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional

from bench.peers.dataloader import open_usual
from bench.peers.task import Task
from vocscore.config.optimization import OptimizationConfig
from vocscore.machine import usable_cores

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from shards.sample import ImageRef
    from vocscore.models.network import Network
    from vocscore.pipeline.preprocess import Preprocess


class UsualTraining:
    """Float32, planes of channels, a DataLoader, SGD.

    https://github.com/pytorch/vision/blob/main/references/classification/train.py
    (`train_one_epoch`), with the loss and the optimizer of `vocscore train`.

    Args:
        network: copied; its device is that of the training.
        preprocess: of the images.
        refs: loose files, in the order of training.
        labels: of the same images, 1, 0, or -1 (ignored), shape (N, C).
        scratch: a folder of the loader's.
        head_only: train a new head from zero; the backbone is frozen, and still runs every epoch.
    """

    def __init__(
        self,
        network: Network,
        preprocess: Preprocess,
        refs: Sequence[ImageRef],
        labels: NDArray[np.int8],
        *,
        scratch: Path,
        head_only: bool = False,
    ) -> None:
        self.network = copy.deepcopy(network).train(not head_only)
        self._device = next(network.parameters()).device
        if head_only:
            self.network.requires_grad_(False)
            head = nn.Linear(network.head.in_features, labels.shape[1], device=self._device)
            nn.init.zeros_(head.weight)
            nn.init.zeros_(head.bias)
            self.network.head = head
        self._labels = labels
        choice = OptimizationConfig
        self._optimizer = torch.optim.SGD(
            [one for one in self.network.parameters() if one.requires_grad],
            lr=choice.learning_rate,
            momentum=choice.momentum,
        )
        batch, workers = choice.batch_size, usable_cores()
        task = Task(refs, preprocess, batch=batch, workers=workers, scratch=scratch)
        self._loader = open_usual(task)

    def epoch(self, *, whole: bool = False) -> int:
        """Train on every image once; return their number.

        There is a step per batch or, with `whole`, one over the sum of all gradients.
        """
        images = 0
        for ready in self._loader.batches():
            truth = self._labels[list(ready.rows)]
            counted = (self._labels if whole else truth) >= 0
            loss = masked_sum(self.network(ready.images.to(self._device)), truth)
            (loss / int(counted.sum())).backward()  # type: ignore[no-untyped-call]
            images += len(ready.rows)
            if not whole:
                self._step()
        if whole:
            self._step()
        return images

    def _step(self) -> None:
        self._optimizer.step()
        self._optimizer.zero_grad()

    def close(self) -> None:
        """End the loader's workers."""
        self._loader.close()


def masked_sum(logits: torch.Tensor, labels: NDArray[np.int8]) -> torch.Tensor:
    """Binary cross-entropy, summed; labels of -1 are ignored."""
    truth = torch.from_numpy(labels).to(logits.device)
    return functional.binary_cross_entropy_with_logits(
        logits, truth.clamp(min=0).float(), weight=(truth >= 0).float(), reduction="sum"
    )
