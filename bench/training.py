"""Ten epochs of a head behind a frozen backbone, beside one scoring pass and the usual loop."""

from __future__ import annotations

import csv
import itertools
from contextlib import closing
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional

from bench.agreement import Agreement, Limit, agreement
from bench.commands import vocscore
from bench.outcome import Outcome
from bench.peers.dataloader import open_usual
from bench.peers.task import Task
from bench.timing import interleave_seconds
from shards.images import image_file
from shards.reader import load_split
from shards.sample import ImageRef
from vocscore.config import TrainConfig
from vocscore.machine import usable_cores
from vocscore.models.checkpoint import load_checkpoint

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import nn

    from bench.images import Images
    from bench.peers.task import Loader
    from bench.subjects import Subject
    from bench.timing import Rate
    from vocscore.models.card import ModelCard
    from vocscore.models.network import Network
    from vocscore.pipeline.preprocess import Preprocess

EPOCHS = 10
IMAGES = 512
USUAL_IMAGES = 64
"""Of the usual loop's one epoch; its seconds are multiplied up to all images and epochs."""
USUAL = "usual loop (DataLoader, PIL, eager float32)"
PASS = "one scoring pass"  # noqa: S105 - no password
OURS = "vocscore train --precision auto"
MOST_PASSES = 1.3
LEAST_RATIO = 6.0
TRAINED = Limit(0.05, 0.01)
"""The plain loop resizes with Pillow: its pixels differ by a gray level."""
_CLASSES = 20


def compare_training(subject: Subject, images: Images, scratch: Path, *, repeats: int) -> Outcome:
    """Seconds of the whole commands, and of the usual loop.

    Args:
        subject: its backbone is trained behind, its set proves the outputs equal.
        images: of the set that is timed.
        scratch: a folder to make.
        repeats: counted rounds.
    """
    scratch.mkdir()
    found = prove_equal(subject, scratch)
    shards, number = pack(images, scratch), itertools.count()
    network, card = subject.load()
    some = images.refs[:USUAL_IMAGES]

    def train() -> None:
        _train(subject, shards, scratch / f"timed-{next(number)}", batch=TrainConfig.batch_size)

    def score() -> None:
        words = [shards, "-m", subject.run, "-o", scratch / f"timed-{next(number)}.csv"]
        vocscore("score", *words, "--device", "cpu", "--quiet", "--no-ceilings")

    labels = np.zeros((len(some), _CLASSES), np.int8)
    with closing(_open_usual(card.preprocess, some, scratch)) as loader:
        rates = interleave_seconds(
            {USUAL: lambda: _usual_epoch(network, loader, labels), PASS: score, OURS: train},
            repeats=repeats,
        )
    times = EPOCHS * len(images.refs) / len(some)
    rates[USUAL] = rates[USUAL].times(times)
    return Outcome(
        contest="train",
        title=(
            f"train, {subject.backbone}: {EPOCHS} epochs of a head on {len(images.refs)} packed "
            "images, on the CPU"
        ),
        rates=rates,
        unit="s",
        baseline=PASS,
        key={"backbone": subject.backbone},
        facts={
            "weights": subject.weights,
            "agreement": found.to_json(),
            "usual_loop": f"one epoch of {len(some)} images, its seconds times {times:.0f}",
        },
        lines=(
            f"trained outputs, beside the plain loop's: {found}",
            f"the usual loop: one epoch of {len(some)} images, its seconds times {times:.0f}",
            *_verdicts(rates),
        ),
    )


def _verdicts(rates: dict[str, Rate]) -> tuple[str, str]:
    passes = rates[OURS].median / rates[PASS].median
    less = rates[USUAL].median / rates[OURS].median
    held = "held" if passes <= MOST_PASSES else "MISSED"
    won = "held" if less >= LEAST_RATIO else "MISSED"
    return (
        f"{OURS}: {passes:.2f} scoring passes (at most {MOST_PASSES}: {held})",
        f"{OURS}: {less:.1f} times less than the usual loop (at least {LEAST_RATIO:.0f}: {won})",
    )


def pack(images: Images, scratch: Path) -> Path:
    """Pack a folder of images with labels that go round the classes."""
    table, shards = scratch / "labels.csv", scratch / "timed-shards"
    with table.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["path", "labels"])
        rows.writerows((ref.name, f"class{n % _CLASSES}") for n, ref in enumerate(images.refs))
    vocscore("pack", images.folder, "-o", shards, "--labels", table, "--split", "ratio")
    return shards


def _train(subject: Subject, shards: Path, out: Path, *, batch: int) -> None:
    words = [shards, "-o", out, "--backbone", subject.backbone, "--weights", subject.start]
    words += ["--tune", "head", "--epochs", EPOCHS, "--batch-size", batch]
    words += ["--precision", "auto"]  # as the scoring pass has it
    vocscore("train", *words, "--device", "cpu", "--quiet")


def prove_equal(
    subject: Subject, scratch: Path, *, plain: Callable[..., nn.Linear] | None = None
) -> Agreement:
    """Train by the command and by the plain loop, and compare what both heads say of each image.

    Each step is over the whole training split, so that the order of the images does not count.

    Args:
        subject: the backbone and the set.
        scratch: for files.
        plain: the plain loop; `train_plainly` if None.

    Raises:
        ValueError: the command trains another head.
    """
    split = load_split(subject.shards, TrainConfig.train_split)
    out = scratch / "proof"
    _train(subject, subject.shards, out, batch=len(split.images))
    network, card = load_checkpoint(out)
    ours = _answers(network, card, subject.images)
    refs = _loose(split.images, scratch / "loose")
    network.head = (plain or train_plainly)(
        network, card.preprocess, refs, split.labels, scratch, epochs=EPOCHS
    )
    truth = _answers(network, card, subject.images)
    found = agreement(truth, ours, threshold=TrainConfig.threshold)
    if TRAINED.broken(found):
        raise ValueError(f"{OURS}: {found}; beyond {TRAINED}")
    return found


@torch.inference_mode()
def _answers(network: Network, card: ModelCard, images: torch.Tensor) -> NDArray[np.float32]:
    parts = [
        card.probabilities(network.eval()(card.preprocess.normalize(images[at : at + 32])))
        for at in range(0, len(images), 32)
    ]
    return torch.cat(parts).numpy()


def _loose(images: Sequence[ImageRef], folder: Path) -> list[ImageRef]:
    """The images of shards as files of their own, as the usual loop reads them."""
    folder.mkdir()
    found = []
    for number, ref in enumerate(images):
        file = folder / f"{number:06d}.jpg"
        file.write_bytes(image_file.read_bytes(ref, max_pixels=TrainConfig.max_pixels))
        found.append(ImageRef(file.name, str(file)))
    return found


def train_plainly(
    network: Network,
    preprocess: Preprocess,
    images: Sequence[ImageRef],
    labels: NDArray[np.int8],
    scratch: Path,
    *,
    epochs: int,
) -> nn.Linear:
    """The loop in full: every image decoded and sent through the network in every epoch.

    Gradients are summed over the batches, and an epoch is one step.

    Returns:
        The trained head.
    """
    head = torch.nn.Linear(network.head.in_features, network.head.out_features)
    torch.nn.init.zeros_(head.weight)
    torch.nn.init.zeros_(head.bias)
    descent = _descent(head)
    counted = int((labels >= 0).sum())
    with closing(_open_usual(preprocess, images, scratch)) as loader:
        for _ in range(epochs):
            descent.zero_grad()
            for features, rows in _features(network, loader):
                loss = _loss(head(features), labels[rows], reduction="sum") / counted
                loss.backward()  # type: ignore[no-untyped-call]
            descent.step()
    return head


def _usual_epoch(network: Network, loader: Loader, labels: NDArray[np.int8]) -> None:
    """One epoch as most people write it, a step a batch."""
    head = torch.nn.Linear(network.head.in_features, labels.shape[1])
    descent = _descent(head)
    for features, rows in _features(network, loader):
        descent.zero_grad()
        _loss(head(features), labels[rows], reduction="mean").backward()  # type: ignore[no-untyped-call]
        descent.step()


def _open_usual(preprocess: Preprocess, images: Sequence[ImageRef], scratch: Path) -> Loader:
    return open_usual(
        Task(
            images=images,
            preprocess=preprocess,
            batch=TrainConfig.batch_size,
            workers=usable_cores(),
            scratch=scratch,
        )
    )


def _features(network: Network, loader: Loader) -> Iterator[tuple[torch.Tensor, list[int]]]:
    """What the frozen backbone makes of each batch, and its rows."""
    network.eval()
    for ready in loader.batches():
        with torch.no_grad():
            features = network.backbone(ready.images)
        yield features, list(ready.rows)


def _descent(head: nn.Linear) -> torch.optim.SGD:
    return torch.optim.SGD(
        head.parameters(), lr=TrainConfig.learning_rate, momentum=TrainConfig.momentum
    )


def _loss(logits: torch.Tensor, labels: NDArray[np.int8], *, reduction: str) -> torch.Tensor:
    """Binary cross-entropy; a label of -1 does not count."""
    truth = torch.from_numpy(labels)
    return functional.binary_cross_entropy_with_logits(
        logits, truth.clamp(min=0).float(), weight=(truth >= 0).float(), reduction=reduction
    )
