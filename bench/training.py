"""Ten epochs of a head behind a frozen backbone, beside one scoring pass and the usual loop."""

from __future__ import annotations

import csv
import itertools
from contextlib import closing
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.nn import functional

from bench import product
from bench.agreement import Agreement, Limit, agreement
from bench.outcome import Outcome, held
from bench.peers.dataloader import open_usual
from bench.peers.loops import USUAL, Scorer
from bench.peers.task import Task
from bench.timing import interleave_seconds
from shards.images import image_file
from shards.reader import load_split
from shards.sample import ImageRef
from vocscore.config.compute import MAX_PIXELS
from vocscore.config.model import ModelConfig
from vocscore.config.optimization import OptimizationConfig
from vocscore.config.training import DataConfig
from vocscore.machine import usable_cores
from vocscore.models.checkpoint import load_checkpoint

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import nn

    from bench.checkpoints import Checkpoint
    from bench.contests import Options
    from bench.images import ImageSet
    from bench.peers.task import Loader
    from vocscore.models.card import ModelCard
    from vocscore.models.network import Network
    from vocscore.pipeline.preprocess import Preprocess

EPOCHS = 10
IMAGES = 512
USUAL_IMAGES = 64
"""The usual loop runs one epoch of these; its seconds are scaled to all images and epochs."""
PASS = "one scoring pass"  # noqa: S105 - no password
OURS = "vocscore train --precision auto"
MOST_PASSES = 1.3
LEAST_RATIO = 6.0
TRAINED = Limit(0.05, 0.01)
"""The plain loop resizes with Pillow: its pixels differ by a gray level."""
_CLASSES = 20


def run(options: Options) -> Iterator[Outcome]:
    """Seconds of both commands and of the usual loop, with the default backbone."""
    images, checkpoint = options.image_set(IMAGES), options.checkpoint(ModelConfig.backbone)
    scratch = options.scratch / "train"
    scratch.mkdir()
    found = prove_equal(checkpoint, scratch)
    shards, number = pack(images, scratch), itertools.count()
    network, card = checkpoint.load()
    network, device = network.to(options.device), options.device
    some = images.refs[:USUAL_IMAGES]
    labels = np.zeros((len(some), _CLASSES), np.int8)

    def train() -> None:
        _train(checkpoint, shards, scratch / f"timed-{next(number)}", device=device)

    def score() -> None:
        output = scratch / f"timed-{next(number)}.csv"
        product.score(shards, output, model=checkpoint.run, device=device)

    with closing(_open_usual(card.preprocess, some, scratch)) as loader:
        rates = interleave_seconds(
            {
                USUAL: lambda: train_plainly(network, loader, labels, epochs=1, whole=False),
                PASS: score,
                OURS: train,
            },
            repeats=options.repeats,
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


def pack(images: ImageSet, scratch: Path) -> Path:
    """Pack a folder of images; image n has the label n modulo the number of classes."""
    table, shards = scratch / "labels.csv", scratch / "timed-shards"
    with table.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["path", "labels"])
        rows.writerows((ref.name, f"class{n % _CLASSES}") for n, ref in enumerate(images.refs))
    product.pack(images.folder, shards, labels=table)
    return shards


def _train(checkpoint: Checkpoint, shards: Path, out: Path, **options: Any) -> None:
    names = {"backbone": checkpoint.backbone, "weights": checkpoint.start}
    # the precision of the scoring pass
    product.train(shards, out, epochs=EPOCHS, precision="auto", **names, **options)


@torch.inference_mode()
def _answers(network: Network, card: ModelCard, images: torch.Tensor) -> NDArray[np.float32]:
    scorer = Scorer(network, card).eval()
    parts = [scorer(card.preprocess.normalize(batch)) for batch in torch.split(images, 32)]
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


def train_plainly(
    network: Network, loader: Loader, labels: NDArray[np.int8], *, epochs: int, whole: bool = True
) -> nn.Linear:
    """Train a head the usual way: every epoch decodes every image and runs the backbone on it.

    Labels are 1, 0, or -1 (ignored), shape (N, C). With `whole` there is one step per epoch, over
    the sum of all gradients, instead of one per batch.
    """
    device = network.head.weight.device
    head = torch.nn.Linear(network.head.in_features, labels.shape[1], device=device)
    torch.nn.init.zeros_(head.weight)
    torch.nn.init.zeros_(head.bias)
    optimizer = torch.optim.SGD(
        head.parameters(), lr=OptimizationConfig.learning_rate, momentum=OptimizationConfig.momentum
    )
    network.eval()
    for _ in range(epochs):
        optimizer.zero_grad()
        for ready in loader.batches():
            with torch.no_grad():
                features = network.backbone(ready.images.to(device))
            truth = labels[list(ready.rows)]
            counted = (labels if whole else truth) >= 0
            (masked_sum(head(features), truth) / int(counted.sum())).backward()  # type: ignore[no-untyped-call]
            if not whole:
                optimizer.step()
                optimizer.zero_grad()
        if whole:
            optimizer.step()
    return head


def prove_equal(
    checkpoint: Checkpoint, scratch: Path, *, plain: Callable[..., nn.Linear] = train_plainly
) -> Agreement:
    """Train with vocscore and with the plain loop, and compare both heads' probabilities.

    Each step is over the whole training split, so the order of the images does not matter.

    Raises:
        ValueError: they differ by more than `TRAINED`.
    """
    split = load_split(checkpoint.shards, DataConfig.train_split)
    out = scratch / "proof"
    _train(checkpoint, checkpoint.shards, out, batch_size=len(split.images))
    network, card = load_checkpoint(out)
    found = _answers(network, card, checkpoint.images)
    refs = loose(split.images, scratch / "loose")
    with closing(_open_usual(card.preprocess, refs, scratch)) as loader:
        network.head = plain(network, loader, split.labels, epochs=EPOCHS)
    truth = _answers(network, card, checkpoint.images)
    compared = agreement(truth, found, threshold=ModelConfig.threshold)
    if TRAINED.broken(compared):
        raise ValueError(f"{OURS}: {compared}; beyond {TRAINED}")
    return compared


def _open_usual(preprocess: Preprocess, refs: Sequence[ImageRef], scratch: Path) -> Loader:
    batch, workers = OptimizationConfig.batch_size, usable_cores()
    return open_usual(Task(refs, preprocess, batch=batch, workers=workers, scratch=scratch))


def masked_sum(logits: torch.Tensor, labels: NDArray[np.int8]) -> torch.Tensor:
    """Binary cross-entropy, summed; labels of -1 are ignored."""
    truth = torch.from_numpy(labels).to(logits.device)
    return functional.binary_cross_entropy_with_logits(
        logits, truth.clamp(min=0).float(), weight=(truth >= 0).float(), reduction="sum"
    )
