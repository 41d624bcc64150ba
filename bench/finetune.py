"""Training every layer on packed photographs, beside the usual loop."""

from __future__ import annotations

import copy
from contextlib import closing
from dataclasses import asdict
from typing import TYPE_CHECKING

import torch
from torch import nn

from bench import product
from bench.agreement import Agreement, Limit, agreement
from bench.outcome import Outcome, held
from bench.peers.dataloader import open_usual
from bench.peers.loops import USUAL
from bench.peers.task import Task
from bench.timing import interleave
from bench.training import TRAINED, loose, masked_sum, pack
from shards.reader import load_split
from vocscore.config.model import ModelConfig
from vocscore.config.optimization import OptimizationConfig
from vocscore.config.training import DataConfig
from vocscore.machine import usable_cores
from vocscore.models.network import build_network, input_preprocess
from vocscore.training.trainer import epoch_order

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray

    from bench.contests import Options
    from bench.peers.task import Loader
    from shards.reader import LabeledImages
    from vocscore.models.network import Network
    from vocscore.pipeline.preprocess import Preprocess

IMAGES = 172
"""Packed; 120 of them are trained on, six steps an epoch."""
OURS = "vocscore train --tune all --precision auto"
LEAST_RATIO = 1.5
SIZE = ModelConfig.size
_SEED = 0


def run(options: Options) -> Iterator[Outcome]:
    """Images per second in training, by backbone."""
    images = options.image_set(IMAGES)
    scratch = options.scratch / "finetune"
    scratch.mkdir()
    split = load_split(pack(images, scratch), DataConfig.train_split)
    order = epoch_order(len(split.images), seed=_SEED, epoch=1)
    refs = loose([split.images[row] for row in order], scratch / "loose")
    for backbone in options.backbones:
        torch.manual_seed(_SEED)
        network = build_network(backbone, classes=split.labels.shape[1], weights="none", size=SIZE)
        preprocess = input_preprocess(backbone, weights="none", size=SIZE)
        batch, workers = OptimizationConfig.batch_size, usable_cores()
        task = Task(refs, preprocess, batch=batch, workers=workers, scratch=scratch)
        with closing(open_usual(task)) as loader:
            found = prove_equal(network, split, loader, split.labels[order], preprocess)
            plain = UsualTraining(network, loader, split.labels[order])
            with closing(product.Finetuning(network, split, preprocess, seed=_SEED)) as ours:
                rates = interleave({USUAL: plain.epoch, OURS: ours}, repeats=options.repeats)
        ratio = rates[OURS].median / rates[USUAL].median
        won = held(ratio >= LEAST_RATIO)
        yield Outcome(
            contest="finetune",
            title=(
                f"fine-tuning, {backbone}: every layer, batches of {batch}, {SIZE}x{SIZE} pixels, "
                f"on {options.where}"
            ),
            rates=rates,
            peers=(USUAL,),
            key={**images.key, "backbone": backbone},
            facts={**images.facts, "weights": "random weights", "agreement": asdict(found)},
            lines=(
                f"probabilities after an epoch from the same start, without dropout: {found}",
                f"times as fast as the usual loop: {ratio:.2f} (at least {LEAST_RATIO}: {won})",
            ),
        )


class UsualTraining:
    """The loop that people write: float32, planes of channels, one step per batch.

    https://github.com/pytorch/vision/blob/main/references/classification/train.py
    (`train_one_epoch`), with the loss and the optimizer of `vocscore train`.

    Args:
        network: copied.
        loader: of the images, in the order of training.
        labels: of the same images, 1, 0, or -1 (ignored), shape (N, C).
    """

    def __init__(self, network: Network, loader: Loader, labels: NDArray[np.int8]) -> None:
        self.network = copy.deepcopy(network).train()
        self._loader = loader
        self._labels = labels
        self._optimizer = torch.optim.SGD(
            self.network.parameters(),
            lr=OptimizationConfig.learning_rate,
            momentum=OptimizationConfig.momentum,
        )

    def epoch(self) -> int:
        """Train on every image once; return their number."""
        images = 0
        for ready in self._loader.batches():
            truth = self._labels[list(ready.rows)]
            loss = masked_sum(self.network(ready.images), truth) / int((truth >= 0).sum())
            self._optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            self._optimizer.step()
            images += len(ready.rows)
        return images


def prove_equal(
    network: Network,
    split: LabeledImages,
    loader: Loader,
    labels: NDArray[np.int8],
    preprocess: Preprocess,
) -> Agreement:
    """Train a copy of a network in both ways for an epoch, and compare their probabilities.

    Without dropout, whose random numbers are drawn in another order.

    Raises:
        ValueError: they differ by more than `TRAINED`, or by a tenth of what the training changed.
    """
    network = copy.deepcopy(network)
    for module in network.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    plain = UsualTraining(network, loader, labels)
    plain.epoch()
    with closing(product.Finetuning(network, split, preprocess, seed=_SEED)) as ours:
        ours()
        trained = copy.deepcopy(network)
        trained.load_state_dict(ours.weights())
    with product.own_loader("host", preprocess, batch_size=len(split.images)) as own:
        pixels = next(iter(own.batches(split.images))).images
    answers = [_answers(one, preprocess, pixels) for one in (plain.network, trained, network)]
    compared, moved = (
        agreement(answers[0], one, threshold=ModelConfig.threshold) for one in answers[1:]
    )
    limit = Limit(min(TRAINED.largest_difference, moved.largest_difference / 10), TRAINED.changed)
    if limit.broken(compared):
        raise ValueError(f"{OURS}: {compared}; beyond {limit}")
    return compared


@torch.inference_mode()
def _answers(network: Network, preprocess: Preprocess, pixels: torch.Tensor) -> NDArray[np.float32]:
    network.eval()
    parts = [network(preprocess.normalize(some)).sigmoid() for some in torch.split(pixels, 20)]
    return torch.cat(parts).numpy()
