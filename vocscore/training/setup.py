"""Setup of every process of a training: network, loader and trainer."""

from __future__ import annotations

from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from vocscore.device import Device
from vocscore.errors import DeviceError
from vocscore.models.card import ModelCard
from vocscore.models.fit_choice import chosen_preprocess
from vocscore.models.heads.attach import head_json
from vocscore.models.heads.csra import ResidualAttention
from vocscore.models.heads.maps import map_shape
from vocscore.models.network import build_network, with_head
from vocscore.models.weights import describe_weights, weights_origin
from vocscore.pipeline.devices import find_device
from vocscore.pipeline.loaders import open_loader
from vocscore.ranks import ALONE
from vocscore.training.batch_norm import with_shared_statistics
from vocscore.training.features import FEATURE_BATCH, Decoding, compute_features
from vocscore.training.finetune import FinetuneTrainer, in_bf16
from vocscore.training.head_fits import head_origin, head_spec
from vocscore.training.linear_probe import measure
from vocscore.training.losses import open_loss
from vocscore.training.train_head import open_head_fit
from vocscore.training.trainer import largest_share
from vocscore.training.winograd_layers import with_fewer_multiplications

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from shards.reader import LabeledImages
    from vocscore.config.model import ModelConfig
    from vocscore.config.optimization import OptimizationConfig
    from vocscore.config.training import LossConfig, TrainConfig
    from vocscore.models.network import Network
    from vocscore.pipeline.preprocess import Preprocess
    from vocscore.ranks import Ranks
    from vocscore.training.converged import ConvergedTrainer
    from vocscore.training.features import Features
    from vocscore.training.linear_probe import HeadTrainer
    from vocscore.training.splits import Splits
    from vocscore.training.trainer import SplitOutcome


@dataclass(frozen=True, slots=True)
class Start:
    """The message with which the first process starts the others.

    Attributes:
        shards: `manifest_hash` of its dataset.
        fit: the state to resume from; None for a new training.
    """

    shards: str
    fit: dict[str, Any] | None


def choose_device(name: str, ranks: Ranks) -> Device:
    """Choose the device of this process; several processes on one machine use one GPU each.

    Args:
        name: 'auto', 'cpu', 'cuda' or 'cuda:N'.
        ranks: this process.

    Returns:
        The CPU, or a GPU with its number.

    Raises:
        DeviceError: it does not exist, or one GPU is named for several processes.
    """
    wanted = Device.parse(name)
    if ranks.size == 1:
        return find_device(wanted)
    if wanted.index is not None:
        raise DeviceError(
            f"device {name!r} names one GPU for {ranks.size} processes. Use `device='cuda'`: each "
            f"process takes the GPU of its own rank."
        )
    found = find_device(wanted)
    if not found.is_gpu:
        return found
    own = find_device(Device("cuda", ranks.local_rank))
    torch.cuda.set_device(str(own))  # else pinned memory is allocated on the first GPU
    return own


@contextmanager
def seeded(seed: int, *, device: Device) -> Iterator[None]:
    """Seed torch (new weights, dropout) for the block; the caller's generators are restored."""
    with torch.random.fork_rng(devices=[device.index or 0] if device.is_gpu else []):
        torch.manual_seed(seed % 2**63)
        yield


def new_network(
    choice: ModelConfig,
    classes: tuple[str, ...],
    *,
    on_stage: Callable[[str], None] | None = None,
) -> tuple[Network, ModelCard]:
    """Build the network on the CPU, and its card.

    Args:
        choice: which network.
        classes: in the order of the logits.
        on_stage: called before weights are downloaded.

    Raises:
        CheckpointError: the backbone is unknown, its weights are missing, or it has no map for the
            head.
    """
    network = build_network(
        choice.backbone,
        classes=len(classes),
        weights=choice.weights,
        size=choice.size,
        on_stage=on_stage,
    )
    network = with_head(network, head_spec(choice), backbone=choice.backbone, size=choice.size)
    card = ModelCard(
        backbone=choice.backbone,
        classes=classes,
        preprocess=chosen_preprocess(choice),
        threshold=choice.threshold,
        weights=describe_weights(choice.backbone, choice.weights, where=network.weights_at),
        head=head_json(network.head),
        origin={**weights_origin(choice.backbone, choice.weights), **head_origin(choice)},
    )
    return network, card


def open_decoding(
    loader: str,
    preprocess: Preprocess,
    *,
    choice: OptimizationConfig,
    device: Device,
    threads: int,
    max_pixels: int,
    ranks: Ranks,
    on_images: Callable[[int], None],
) -> Decoding:
    """Open a loader for this process's share of each batch; the caller closes it.

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
    return Decoding(opened, preprocess, torch.device(str(device)), batch_size, on_images, ranks)


def frozen_features(
    network: Network, splits: Splits, decoding: Decoding, choice: OptimizationConfig
) -> list[Features]:
    """Compute the features of both splits, if only a head is trained.

    Returns:
        Features of the training and the validation split; an empty list if the whole network is
        trained, and in every process but the first.

    Raises:
        TrainError: an image cannot be decoded.
    """
    if choice.tune == "all":
        return []
    return _features(
        network,
        (splits.train, splits.val),
        decoding,
        bf16=in_bf16(choice.precision, device=decoding.device),
    )


def map_of(network: Network, *, size: int) -> tuple[int, ...] | None:
    """The shape (F, h, w) of the maps that the head needs; None if it needs features.

    Args:
        network: on the CPU, the backbone in evaluation mode.
        size: height and width of the images, pixels.
    """
    on_maps = isinstance(network.head, ResidualAttention)
    return map_shape(network.backbone, size=size) if on_maps else None


def _features(
    network: Network, splits: Sequence[LabeledImages], decoding: Decoding, *, bf16: bool
) -> list[Features]:
    """What the head of a network needs of some splits."""
    shape = map_of(network, size=decoding.preprocess.size)
    return compute_features(network.backbone, splits, decoding=decoding, bf16=bf16, shape=shape)


def open_fit(
    network: Network,
    splits: Splits,
    decoding: Decoding,
    config: TrainConfig,
    *,
    features: Sequence[Features],
) -> FinetuneTrainer | HeadTrainer | ConvergedTrainer | None:
    """Open the trainer of a head, or move the network to the device and open that.

    Args:
        network: on the CPU.
        splits: images and labels.
        decoding: how images are decoded.
        config: the settings.
        features: as `frozen_features` returns them.

    Returns:
        The trainer; None if only the first process trains and this is another one.
    """
    if config.optimization.tune == "all":
        network = with_shared_statistics(network, decoding.ranks, device=decoding.device)
        bf16 = in_bf16(config.optimization.precision, device=decoding.device)
        network = with_fewer_multiplications(network, device=decoding.device, bf16=bf16)
        network.to(decoding.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        opened = open_loss(config.loss, splits.train.labels, device=decoding.device)
        return FinetuneTrainer(
            network,
            splits,
            decoding=decoding,
            choice=config.optimization,
            loss=opened,
            augmentation=config.augmentation,
            seed=config.data.seed % 2**63,
        )
    if not features:
        return None
    return open_head_fit(network.head, *features, config=config, keys=splits.train.sha256)


def validate_in_float32(
    network: Network,
    splits: Splits,
    preprocess: Preprocess,
    *,
    choice: OptimizationConfig,
    loss: LossConfig,
    loader: str,
    device: Device,
    threads: int,
    max_pixels: int,
) -> SplitOutcome:
    """Evaluate a network with a frozen backbone on the validation split, in float32.

    Args:
        network: on the CPU; it is moved to the device and back.
        splits: of the training; the class weights of the loss come from its training split.
        preprocess: of the network's card.
        choice: of the training.
        loss: of the training.
        loader: as for `open_loader`.
        device: as for `open_loader`.
        threads: as for `open_loader`.
        max_pixels: as for `open_loader`.

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
        (found,) = _features(network, (splits.val,), decoding, bf16=False)
    network.cpu()
    return measure(
        network.head,
        found.values,
        torch.from_numpy(found.labels),
        loss=open_loss(loss, splits.train.labels, device=torch.device("cpu")),
        epoch=choice.epochs,
    )
