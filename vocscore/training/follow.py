"""The other processes of a distributed training; `train` runs in the first one."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from shards.manifest import manifest_hash, read_manifest
from vocscore.errors import TrainError
from vocscore.training.distributed import from_first
from vocscore.training.finetune import FinetuneTrainer
from vocscore.training.job import bound_memory, loader_threads
from vocscore.training.setup import (
    choose_device,
    frozen_features,
    new_network,
    open_decoding,
    open_fit,
    seeded,
)
from vocscore.training.splits import load_splits

if TYPE_CHECKING:
    from pathlib import Path

    from vocscore.config.compute import ComputeConfig
    from vocscore.config.training import TrainConfig
    from vocscore.ranks import Ranks
    from vocscore.training.setup import Start


def follow(shards: Path, config: TrainConfig, compute: ComputeConfig, *, ranks: Ranks) -> None:
    """Do this process's share of the work, write nothing, and return when training ends.

    Starts only after the first process has checked its arguments, so that each error is shown
    once.

    Args:
        shards: like the next two, as passed to `train` in the first process.
        config: the settings.
        compute: where this process runs.
        ranks: this process, not the first.

    Raises:
        TrainError: the shards differ from the first process's, or an image cannot be decoded.
        CheckpointError: the weights are not available on this machine.
        DeviceError: the device does not exist.
    """
    start: Start | None = from_first(None, ranks)
    if start is None:
        return
    if manifest_hash(shards) != start.shards:
        raise TrainError(f"{shards}: differs from the dataset of the first process.")
    bound_memory(compute, ranks)
    place = choose_device(compute.device, ranks)
    splits = load_splits(shards, config.data)
    with seeded(config.data.seed, device=place):
        net, card = new_network(config.model, read_manifest(shards).classes)
        decoding = open_decoding(
            compute.loader,
            card.preprocess,
            choice=config.optimization,
            device=place,
            threads=loader_threads(compute, ranks),
            max_pixels=config.data.max_pixels,
            ranks=ranks,
            on_images=lambda _more: None,
        )
        with closing(decoding.loader):
            fit = open_fit(
                net,
                splits,
                decoding,
                config,
                features=frozen_features(net, splits, decoding, config.optimization),
            )
            if isinstance(fit, FinetuneTrainer):
                if start.fit is not None:
                    fit.restore(start.fit)
                fit.follow()
