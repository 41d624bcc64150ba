"""Opens what `vocscore score` runs: a checkpoint, maybe on several views, maybe with features."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from vocscore.config.tta import sizes_of
from vocscore.device import Device, parse_precision
from vocscore.models.card import require_features
from vocscore.models.checkpoint_files import take
from vocscore.pipeline.several_sizes import shape_of
from vocscore.runtime.asked import Asked
from vocscore.runtime.features import Pooled, TwoPasses, same_probabilities
from vocscore.runtime.finishing import finish_of
from vocscore.runtime.load import open_backbone, open_files
from vocscore.runtime.tta import TtaRuntime

if TYPE_CHECKING:
    from pathlib import Path

    from vocscore.config.tta import Tta
    from vocscore.models.card import ModelCard
    from vocscore.models.checkpoint_files import CheckpointFiles
    from vocscore.runtime.base import Runtime
    from vocscore.runtime.finishing import Finish


def open_scorer(
    folder: Path,
    *,
    identity: str,
    device: Device | str,
    precision: str,
    group: int,
    features: bool = False,
    tta: Tta | None = None,
    int8: str | None = None,
) -> tuple[Runtime, ModelCard]:
    """Prepare a checkpoint for scoring; see `open_checkpoint`.

    Args:
        folder: folder of the checkpoint.
        identity: its hash when it was chosen; see `take`.
        device: the CPU, or a GPU with its number; or its name.
        precision: as returned by `resolve_precision`.
        group: images in a full batch.
        features: whether the results are (N, C + F): the features come after the probabilities,
            which have the bits that they have without features.
        tta: the views; None: the image as it is.
        int8: as for `Asked`.

    Raises:
        CheckpointError: it is damaged, was replaced after it was chosen, does not accept a size, or
            has no features.
        DeviceError: OpenVINO is missing, or does not compute int8 correctly.
        OptionError: the other size of the views is the model's own.
    """
    files = take(folder, identity=identity)
    if features:
        require_features(files.card, folder)
    asked = Asked(Device.parse(device), parse_precision(precision), group, int8=int8)
    plain = _open(files, asked, tta)
    if not features:
        return plain, files.card
    return _with_features(files, asked, tta, plain=plain), files.card


def _open(files: CheckpointFiles, asked: Asked, tta: Tta | None) -> Runtime:
    if tta is None:
        return open_files(files, asked)
    own = files.card.preprocess.size
    runtimes = {
        size: open_files(files, replace(asked, size=None if size == own else size, logits=True))
        for size in tta.sizes(own)
    }
    return averaged(runtimes, tta, finish=finish_of(files.card))


def averaged(runtimes: dict[int, Runtime], tta: Tta, *, finish: Finish | None) -> Runtime:
    """Average over the views; `runtimes` has one for each of their sizes."""
    (features,) = {runtime.features for runtime in runtimes.values()}
    return TtaRuntime(runtimes, flip=tta.flip, finish=finish, features=features)


def _with_features(
    files: CheckpointFiles, asked: Asked, tta: Tta | None, *, plain: Runtime
) -> Runtime:
    """Compute the features in the same pass, if that leaves every bit of the probabilities."""
    if asked.precision != "int8":
        both = _open(files, replace(asked, features=True), tta)
        images = _noise(files.card, asked.group, tta)
        if same_probabilities(plain, both, images):
            return both
        warnings.warn(
            "computing features in the same pass would change the last bits of probabilities "
            "on this machine: they are computed in a second pass.",
            RuntimeWarning,
            stacklevel=2,
        )
        return TwoPasses(plain, both, width=both.features)
    # An int8 graph has its features in 8 bits, and computes others if they are an output too.
    from vocscore.models.checkpoint import load_network

    network, card = load_network(files), files.card
    sizes = sizes_of(tta, card.preprocess.size)
    opened = {
        size: open_backbone(
            Pooled(network.backbone),
            replace(card.preprocess, size=size),
            precision="float32",
            group=asked.group,
        )
        for size in sizes
    }
    backbone = opened[sizes[0]] if tta is None else averaged(opened, tta, finish=None)
    width = int(backbone.probabilities(_noise(card, 1, tta)).shape[1])
    return TwoPasses(plain, backbone, width=width)


def _noise(card: ModelCard, number: int, tta: Tta | None) -> torch.Tensor:
    """Random images, always the same: uint8, as the loader of these views makes them."""
    shape = shape_of(sizes_of(tta, card.preprocess.size))
    random = torch.Generator().manual_seed(0)
    noise = torch.randint(256, (number, *shape), dtype=torch.uint8, generator=random)
    return noise.contiguous(memory_format=torch.channels_last)
