"""Ten epochs of a head behind a frozen backbone, beside one scoring pass and the usual loop."""

from __future__ import annotations

import itertools
from contextlib import closing
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from bench import product
from bench.agreement import Agreement, Limit, agreement
from bench.outcome import Outcome, held
from bench.peers.loops import USUAL
from bench.peers.training import UsualTraining
from bench.timing import interleave_seconds
from shards.images import image_file
from shards.reader import load_split
from shards.sample import ImageRef
from vocscore.config.compute import MAX_PIXELS
from vocscore.config.model import ModelConfig
from vocscore.config.training import DataConfig
from vocscore.models.checkpoint import load_checkpoint

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from bench.checkpoints import Checkpoint
    from bench.contests import Options
    from vocscore.models.network import Network
    from vocscore.pipeline.preprocess import Preprocess

EPOCHS = 10
IMAGES, CLASSES = 512, 20
USUAL_IMAGES = 64
"""The usual loop runs one epoch of these; its seconds are scaled to all images and epochs."""
PASS = "one scoring pass"  # noqa: S105 - no password
OURS = "vocscore train --precision auto"
MOST_PASSES = 1.3
LEAST_RATIO = 6.0
TRAINED = Limit(0.05, 0.01)
"""The plain loop resizes with Pillow: its pixels differ by a gray level."""


def run(options: Options) -> Iterator[Outcome]:
    """Seconds of both commands and of the usual loop, with the default backbone."""
    images, checkpoint = options.image_set(IMAGES), options.checkpoint(ModelConfig.backbone)
    scratch, number, device = options.scratch / "train", itertools.count(), options.device
    scratch.mkdir()
    found = prove_equal(checkpoint, scratch)
    shards = scratch / "shards"
    product.pack_images(images.folder, shards, classes=CLASSES, train_fraction=0.7)
    network, card = checkpoint.load()
    some = images.refs[:USUAL_IMAGES]
    plain = UsualTraining(
        network.to(device),
        card.preprocess,
        some,
        np.zeros((len(some), CLASSES), np.int8),
        scratch=scratch,
        head_only=True,
    )

    def train() -> None:
        _train(checkpoint, shards, scratch / f"timed-{next(number)}", device=device)

    def score() -> None:
        output = scratch / f"timed-{next(number)}.csv"
        product.score(shards, output, model=checkpoint.run, device=device)

    with closing(plain):
        rates = interleave_seconds(
            {USUAL: plain.epoch, PASS: score, OURS: train}, repeats=options.repeats
        )
    times = EPOCHS * len(images.refs) / len(some)
    rates[USUAL] = rates[USUAL].times(times)
    passes, less = (rates[OURS].median / rates[n].median for n in (PASS, USUAL))
    won = held(1 / less >= LEAST_RATIO)
    usual = f"one epoch of {len(some)} images, its seconds times {times:.0f}"
    yield Outcome(
        contest="train",
        title=(
            f"train, {checkpoint.backbone}: {EPOCHS} epochs of a head on {len(images.refs)} packed "
            f"images, on {options.where}"
        ),
        rates=rates,
        unit="s",
        peers=(USUAL,),
        ceilings={OURS: PASS},
        key={**images.key, "backbone": checkpoint.backbone},
        facts={
            **images.facts,
            "weights": checkpoint.weights,
            "agreement": asdict(found),
            "usual_loop": usual,
        },
        lines=(
            f"trained outputs, beside the plain loop's: {found}",
            f"the usual loop: {usual}",
            f"scoring passes: {passes:.2f} (at most {MOST_PASSES}: {held(passes <= MOST_PASSES)})",
            f"times as fast as the usual loop: {1 / less:.1f} (at least {LEAST_RATIO:.0f}: {won})",
        ),
    )


def _train(checkpoint: Checkpoint, shards: Path, out: Path, **options: Any) -> None:
    names = {"backbone": checkpoint.backbone, "weights": checkpoint.start}
    # the precision of the scoring pass
    product.train(shards, out, epochs=EPOCHS, precision="auto", **names, **options)


def prove_equal(checkpoint: Checkpoint, scratch: Path) -> Agreement:
    """Train with vocscore and with the plain loop, and compare both heads' probabilities.

    Each step is over the whole training split, so the order of the images does not matter.

    Raises:
        ValueError: they differ by more than `TRAINED`.
    """
    split, out = load_split(checkpoint.shards, DataConfig.train_split), scratch / "proof"
    _train(checkpoint, checkpoint.shards, out, batch_size=len(split.images))
    network, card = load_checkpoint(out)
    refs, wanted = loose(split.images, scratch / "loose"), card.preprocess
    plain = UsualTraining(network, wanted, refs, split.labels, scratch=scratch, head_only=True)
    with closing(plain):
        for _ in range(EPOCHS):
            plain.epoch(whole=True)
    answers = (probabilities(one, wanted, checkpoint.images) for one in (plain.network, network))
    compared = agreement(*answers, threshold=ModelConfig.threshold)
    if TRAINED.broken(compared):
        raise ValueError(f"{OURS}: {compared}; beyond {TRAINED}")
    return compared


@torch.inference_mode()
def probabilities(
    network: Network, preprocess: Preprocess, images: torch.Tensor
) -> NDArray[np.float32]:
    """Probabilities (N, C) of uint8 images (N, 3, S, S), in eager float32."""
    network.eval()
    parts = [network(preprocess.normalize(some)).sigmoid() for some in torch.split(images, 32)]
    return torch.cat(parts).numpy()


def loose(refs: Sequence[ImageRef], folder: Path) -> list[ImageRef]:
    """The images of shards as loose files, for the usual loop."""
    folder.mkdir()
    found = []
    for number, ref in enumerate(refs):
        file = folder / f"{number:06d}.jpg"
        file.write_bytes(image_file.read_bytes(ref, max_pixels=MAX_PIXELS))
        found.append(ImageRef(file.name, str(file)))
    return found
