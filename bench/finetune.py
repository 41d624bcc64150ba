"""Training every layer on packed photographs, beside the usual loop."""

from __future__ import annotations

import copy
from contextlib import closing
from dataclasses import asdict, replace
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import nn

from bench import product
from bench.agreement import Agreement, Limit, agreement
from bench.checkpoints import decoded
from bench.outcome import Outcome, held
from bench.peers.loops import USUAL
from bench.peers.training import UsualTraining
from bench.timing import interleave
from bench.training import CLASSES, TRAINED, loose, probabilities
from shards.reader import load_split
from vocscore.config.model import ModelConfig
from vocscore.config.optimization import OptimizationConfig
from vocscore.config.training import DataConfig, TrainConfig
from vocscore.models.network import build_network, input_preprocess
from vocscore.training.setup import open_fit
from vocscore.training.splits import Splits
from vocscore.training.trainer import epoch_order

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy as np
    from numpy.typing import NDArray

    from bench.contests import Options
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
    images, scratch = options.image_set(IMAGES), options.scratch / "finetune"
    scratch.mkdir()
    product.pack_images(images.folder, scratch / "shards", classes=CLASSES, train_fraction=0.7)
    split = load_split(scratch / "shards", DataConfig.train_split)
    order = epoch_order(len(split.images), seed=_SEED, epoch=1)
    refs = loose([split.images[row] for row in order], scratch / "loose")
    for backbone in options.backbones:
        torch.manual_seed(_SEED)
        network = build_network(backbone, classes=split.labels.shape[1], weights="none", size=SIZE)
        preprocess = input_preprocess(backbone, weights="none", size=SIZE)
        usual = partial(
            UsualTraining,
            preprocess=preprocess,
            refs=refs,
            labels=split.labels[order],
            scratch=scratch,
        )
        ours = partial(Finetuning, split=split, preprocess=preprocess)
        pixels = decoded(split.images, preprocess)
        answers = partial(probabilities, preprocess=preprocess, images=pixels)
        found = prove_equal(network, usual, ours, answers=answers)
        with closing(usual(network)) as plain, closing(ours(network)) as own:
            rates = interleave({USUAL: plain.epoch, OURS: own.epoch}, repeats=options.repeats)
        ratio = rates[OURS].median / rates[USUAL].median
        won = held(ratio >= LEAST_RATIO)
        yield Outcome(
            contest="finetune",
            title=(
                f"fine-tuning, {backbone}: every layer, batches of {OptimizationConfig.batch_size},"
                f" {SIZE}x{SIZE} pixels, on {options.where}"
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


class Finetuning:
    """The part of `train --tune all` that trains, from a network's weights, which are copied.

    The first image is also the validation split.
    """

    def __init__(self, network: Network, split: LabeledImages, preprocess: Preprocess) -> None:
        choice = OptimizationConfig(tune="all", precision="auto")
        self._decoding = product.own_decoding(preprocess, choice)
        first = replace(split, images=split.images[:1], labels=split.labels[:1])
        config = TrainConfig(data=DataConfig(seed=_SEED), optimization=choice)
        splits, decoding = Splits(split, first), self._decoding
        trainer = open_fit(copy.deepcopy(network), splits, decoding, config, features=())
        assert trainer is not None
        self._trainer = trainer
        self._images, self._epochs = len(split.images), 0

    def epoch(self) -> int:
        """Train on every image once; return their number."""
        self._epochs += 1
        self._trainer.epoch(self._epochs)
        return self._images

    def weights(self) -> dict[str, torch.Tensor]:
        """The state of the trained network."""
        return self._trainer.weights()

    def close(self) -> None:
        """End the loader's threads."""
        self._decoding.loader.close()


def prove_equal(
    network: Network,
    usual: Callable[[Network], UsualTraining],
    ours: Callable[[Network], Finetuning],
    *,
    answers: Callable[[Network], NDArray[np.float32]],
) -> Agreement:
    """Train a network in both ways for an epoch, and compare their probabilities.

    Without dropout, whose random numbers are drawn in another order.

    Raises:
        ValueError: they differ by more than `TRAINED`, or by a tenth of what the training changed.
    """
    network = copy.deepcopy(network)
    for module in network.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    with closing(usual(network)) as plain, closing(ours(network)) as own:
        plain.epoch()
        own.epoch()
        trained = copy.deepcopy(network)
        trained.load_state_dict(own.weights())
    truth = answers(plain.network)
    compared, moved = (
        agreement(truth, answers(one), threshold=ModelConfig.threshold)
        for one in (trained, network)
    )
    most = min(TRAINED.largest_difference, moved.largest_difference / 10)
    if (limit := Limit(most, TRAINED.changed)).broken(compared):
        raise ValueError(f"{OURS}: {compared}; beyond {limit}")
    return compared
