"""Every process but the first: it takes part in what `train` does in the first one."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from shards.manifest import manifest_hash, read_manifest
from vocscore.errors import TrainError
from vocscore.training.distributed import from_first
from vocscore.training.finetune import FinetuneTrainer
from vocscore.training.opening import (
    choose_device,
    open_decoding,
    open_fit,
    open_network,
    seeded,
)
from vocscore.training.splits import load_splits

if TYPE_CHECKING:
    from pathlib import Path

    from vocscore.pipeline.augment import Augmentation
    from vocscore.ranks import Ranks
    from vocscore.training.choices import DataChoice, LossChoice, NetworkChoice, Optimization
    from vocscore.training.opening import Start


def follow(
    shards: Path,
    *,
    network: NetworkChoice,
    data: DataChoice,
    optimization: Optimization,
    loss: LossChoice,
    augmentation: Augmentation,
    seed: int,
    loader: str,
    device: str,
    threads: int,
    ranks: Ranks,
) -> None:
    """Do a share of the work, write nothing, and return when there is no more of it.

    Nothing is looked at before the first process has found it good, so that each error is shown
    once.

    Args:
        shards: as all that follow, what `train` was given in the first process.
        network: see there.
        data: see there.
        optimization: see there.
        loss: see there.
        augmentation: see there.
        seed: see there.
        loader: see there.
        device: see there.
        threads: of this process's loader.
        ranks: this process, not the first.

    Raises:
        TrainError: the shards are not the first process's, or an image cannot be decoded.
        CheckpointError: the weights cannot be had on this machine.
        DeviceError: the device is not there.
    """
    start: Start | None = from_first(None, ranks)
    if start is None:
        return
    if manifest_hash(shards) != start.shards:
        raise TrainError(f"{shards}: is another set than that of the first process.")
    device = choose_device(device, ranks)
    splits = load_splits(shards, data)
    with seeded(seed, device=device):
        net, card = open_network(network, read_manifest(shards).classes)
        decoding = open_decoding(
            loader,
            card.preprocess,
            choice=optimization,
            device=device,
            threads=threads,
            max_pixels=data.max_pixels,
            ranks=ranks,
            on_images=lambda _more: None,
        )
        with closing(decoding.loader):
            fit = open_fit(
                net,
                splits,
                decoding,
                optimization,
                loss,
                augmentation=augmentation,
                seed=seed % 2**63,
            )
            if isinstance(fit, FinetuneTrainer):
                if start.fit is not None:
                    fit.restore(start.fit)
                fit.follow()
