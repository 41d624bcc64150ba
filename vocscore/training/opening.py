"""What every process of a training opens: the network, the loader, and what trains the network."""

from __future__ import annotations

from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from vocscore.errors import DeviceError
from vocscore.models.card import ModelCard
from vocscore.models.network import build_network, input_preprocess
from vocscore.models.weights import describe_weights
from vocscore.pipeline.loaders import open_loader
from vocscore.ranks import ALONE
from vocscore.runtime import resolve_device
from vocscore.training.batch_norm import with_shared_statistics
from vocscore.training.features import FEATURE_BATCH, Decoding, compute_features
from vocscore.training.finetune import FinetuneTrainer, in_bf16
from vocscore.training.linear_probe import HeadTrainer, measure
from vocscore.training.losses import open_loss
from vocscore.training.trainer import largest_share

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from vocscore.models.network import Network
    from vocscore.pipeline.augment import Augmentation
    from vocscore.pipeline.preprocess import Preprocess
    from vocscore.ranks import Ranks
    from vocscore.training.choices import LossChoice, NetworkChoice, Optimization
    from vocscore.training.splits import Splits
    from vocscore.training.trainer import SplitOutcome


@dataclass(frozen=True, slots=True)
class Start:
    """What the first process tells the others when they may start.

    Attributes:
        shards: `manifest_hash` of its set.
        fit: the state to go on from; None at the beginning.
    """

    shards: str
    fit: dict[str, Any] | None


def choose_device(name: str, ranks: Ranks) -> str:
    """Where this process computes: of several on a machine, each has a GPU of its own.

    Args:
        name: 'auto', 'cpu', 'cuda' or 'cuda:N'.
        ranks: this process.

    Returns:
        'cpu' or 'cuda:N'.

    Raises:
        DeviceError: it is not there, or one GPU is named for several processes.
    """
    if ranks.size == 1:
        return resolve_device(name)
    if name.startswith("cuda:"):
        raise DeviceError(
            f"device {name!r} is one, and there are {ranks.size} processes. Use --device cuda: "
            f"each takes the GPU of its own number."
        )
    found = resolve_device(name)
    if found == "cpu":
        return found
    own = resolve_device(f"cuda:{ranks.local_rank}")
    torch.cuda.set_device(own)  # or page-locked memory and the like would be the first GPU's
    return own


@contextmanager
def seeded(seed: int, *, device: str) -> Iterator[None]:
    """Seed torch (new weights, dropout) for the block, and leave the caller's generators alone."""
    on = torch.device(device)
    with torch.random.fork_rng(devices=[on.index] if on.type == "cuda" else []):
        torch.manual_seed(seed % 2**63)
        yield


def open_network(
    choice: NetworkChoice,
    classes: tuple[str, ...],
    *,
    on_stage: Callable[[str], None] | None = None,
) -> tuple[Network, ModelCard]:
    """Build the network on the CPU, and say on its card how it is used.

    Args:
        choice: which network.
        classes: in the order of the logits.
        on_stage: told before weights are downloaded.

    Raises:
        CheckpointError: the backbone or its weights cannot be had.
    """
    network = build_network(
        choice.backbone,
        classes=len(classes),
        weights=choice.weights,
        size=choice.size,
        on_stage=on_stage,
    )
    card = ModelCard(
        backbone=choice.backbone,
        classes=classes,
        preprocess=input_preprocess(choice.backbone, weights=choice.weights, size=choice.size),
        threshold=choice.threshold,
        weights=describe_weights(choice.backbone, choice.weights, where=network.weights_at),
    )
    return network, card


def open_decoding(
    loader: str,
    preprocess: Preprocess,
    *,
    choice: Optimization,
    device: str,
    threads: int,
    max_pixels: int,
    ranks: Ranks,
    on_images: Callable[[int], None],
) -> Decoding:
    """Open a loader of this process's share of each batch; it is the caller's to close.

    Raises:
        DeviceError: see `open_loader`.
    """
    whole = choice.tune == "all"
    batch_size = largest_share(choice.batch_size, ranks) if whole else FEATURE_BATCH
    opened = open_loader(
        loader,
        preprocess,
        batch_size=batch_size,
        device=device,
        threads=threads,
        max_pixels=max_pixels,
    )
    return Decoding(opened, preprocess, torch.device(device), batch_size, on_images, ranks)


def open_fit(
    network: Network,
    splits: Splits,
    decoding: Decoding,
    choice: Optimization,
    loss: LossChoice,
    *,
    augmentation: Augmentation,
    seed: int,
) -> FinetuneTrainer | HeadTrainer | None:
    """Bring the network to the device; for a head, compute the features of both splits.

    Returns:
        What trains; None where only the first process has something to train, and this is not it.
    """
    if choice.tune == "all":
        network = with_shared_statistics(network, decoding.ranks, device=decoding.device)
        network.to(decoding.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        opened = open_loss(loss, splits.train.labels, device=decoding.device)
        return FinetuneTrainer(
            network,
            splits,
            decoding=decoding,
            choice=choice,
            loss=opened,
            augmentation=augmentation,
            seed=seed,
        )
    features = compute_features(
        network.backbone,
        (splits.train, splits.val),
        decoding=decoding,
        bf16=in_bf16(choice.precision, device=decoding.device),
    )
    if not features:
        return None
    _start_at_zero(network.head)
    train, val = features
    opened = open_loss(loss, splits.train.labels, device=torch.device("cpu"))
    return HeadTrainer(network.head, train=train, val=val, choice=choice, loss=opened, seed=seed)


def validate_in_float32(
    network: Network,
    splits: Splits,
    preprocess: Preprocess,
    *,
    choice: Optimization,
    loss: LossChoice,
    loader: str,
    device: str,
    threads: int,
    max_pixels: int,
) -> SplitOutcome:
    """The validation split's outcome for a network with a frozen backbone, as it is now.

    Args:
        network: on the CPU, where it is again afterwards.
        splits: of the training; the loss goes by the labels of its training split.
        preprocess: of the network's card.
        choice: of the training.
        loss: likewise.
        loader: as for `open_loader`.
        device: likewise.
        threads: likewise.
        max_pixels: likewise.

    Raises:
        TrainError: an image cannot be decoded.
    """
    decoding = open_decoding(
        loader,
        preprocess,
        choice=choice,
        device=device,
        threads=threads,
        max_pixels=max_pixels,
        ranks=ALONE,
        on_images=lambda _more: None,
    )
    with closing(decoding.loader):
        (found,) = compute_features(network.backbone, (splits.val,), decoding=decoding, bf16=False)
    network.cpu()
    return measure(
        network.head,
        found.values,
        torch.from_numpy(found.labels),
        loss=open_loss(loss, splits.train.labels, device=torch.device("cpu")),
        epoch=choice.epochs,
    )


def _start_at_zero(head: nn.Linear) -> None:
    """Forget the random start: behind a frozen backbone it is noise in the ranking.

    After 10 epochs of 70 photographs, with features of norm 33 (the usual order), the mean
    validation mAP over ten splits was 0.40 from zero and 0.36 from torch's random start; with
    features of norm 330 (SqueezeNet's) 0.59 and 0.60. A whole network needs the random start: from
    zero nothing reaches the layers below at first (ResNet-18 from nothing on 300 drawn images,
    10 epochs, three seeds: 0.25 to 0.28 from zero, 0.40 to 0.45 from random).
    """
    nn.init.zeros_(head.weight)
    nn.init.zeros_(head.bias)
