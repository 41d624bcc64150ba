"""Shards -> a run: a folder with a checkpoint, its history, its metrics and its curves.

The way through: `train` checks what it was asked for and opens what it needs (`opening.py`), `Run`
takes the head's or the whole network's fit through its epochs and keeps what it gave.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from shards.manifest import manifest_hash, read_manifest
from vocscore.distributed import ALONE
from vocscore.errors import TrainError
from vocscore.evaluation.thresholds import parse_rule
from vocscore.pipeline.augment import Augmentation
from vocscore.records.trained_on import PACKED, packed_facts
from vocscore.runtime.openvino import core
from vocscore.training.epochs import SoFar
from vocscore.training.history import EpochResult
from vocscore.training.opening import (
    Start,
    choose_device,
    open_decoding,
    open_fit,
    open_network,
    seeded,
    validate_in_float32,
)
from vocscore.training.run import Run, TrainReport, set_generators
from vocscore.training.run_folder import check_room, load_state, start_run
from vocscore.training.schedule import check_warmup
from vocscore.training.splits import check_best, load_splits, used_images
from vocscore.training.together import from_first
from vocscore.training.whole import WholeFit, in_bf16

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from vocscore.distributed import Ranks
    from vocscore.models.network import Network
    from vocscore.training.choices import (
        DataChoice,
        Keeping,
        LossChoice,
        NetworkChoice,
        Optimisation,
    )
    from vocscore.training.fit import Splits

__all__ = ["EpochResult", "TrainReport", "train"]


def train(
    shards: Path,
    out: Path,
    *,
    network: NetworkChoice,
    data: DataChoice,
    optimisation: Optimisation,
    loss: LossChoice,
    keeping: Keeping,
    augmentation: Augmentation,
    seed: int,
    maker: str,
    device: str,
    threads: int,
    overwrite: bool,
    resume: bool = False,
    recipe: str | None = None,
    ranks: Ranks = ALONE,
    on_step: Callable[[int, int], None] | None = None,
    on_epoch: Callable[[EpochResult], None] | None = None,
) -> TrainReport:
    """Fit a multi-label classifier on packed shards.

    With tune='head' both splits are measured after each epoch. With tune='all' the figures of the
    training split are those of the training steps themselves (dropout and batch statistics
    active, the weights moving).

    Equal arguments give equal weights on the CPU of one machine, resumed or not.

    Of several processes the first one is here, writes and decides; the others are in `follow`.

    Args:
        shards: a finished set, as `vocscore pack` leaves it.
        out: the run's folder; made if missing.
        network: which network.
        data: which pictures.
        optimisation: what is trained, in which steps.
        loss: what is made small.
        keeping: which epoch's network becomes the checkpoint.
        augmentation: what is done to training pictures, anew in each epoch; with tune='all' only.
        seed: of the new weights, the order of the pictures, and what is done to them.
        maker: who decodes, as for `open_maker`.
        device: 'auto', 'cpu', 'cuda' or 'cuda:N'.
        threads: of the maker.
        overwrite: replace a run that is there already.
        resume: go on after the last finished epoch of the run that is there; without one, start.
        recipe: where the settings come from, for the record.
        ranks: the first of the processes that train together; the others are in `follow`.
        on_step: called with the pictures sent through the backbone so far, and how many it will
            be in all.
        on_epoch: called after each epoch.

    Raises:
        TrainError: a run is there already or was asked for something else, a split is missing or
            cannot be learnt from, or a picture cannot be decoded.
        DivergedError: the loss is not a number; the run holds the network that was kept before, if
            an epoch had been finished.
        CheckpointError: the backbone or its weights cannot be had.
        DeviceError: the device is not there.
        EvalError: no such rule of thresholds or of difficult labels.
        DamageError: the shards are unfinished or damaged.
    """
    check_room(out, overwrite=overwrite, resume=resume)
    parse_rule(keeping.thresholds)
    check_warmup(optimisation)
    _check_augmentation(augmentation, optimisation)
    device = choose_device(device, ranks)
    if device == "cpu" and optimisation.tune == "head":
        core()  # what is missing is said before the folder is made
    splits = load_splits(shards, data)
    check_best(splits, keeping)
    with seeded(seed, device=device):
        manifest, used = read_manifest(shards), used_images(splits)
        net, card = open_network(network, manifest.classes)
        _check_batches(net, splits, optimisation)
        config: dict[str, Any] = {
            "recipe": recipe,
            "shards": str(shards),
            "shards_sha256": manifest_hash(shards),
            PACKED: packed_facts(shards, manifest, used.train),
            **asdict(network),
            **asdict(data),
            **asdict(optimisation),
            **asdict(loss),
            **asdict(keeping),
            **asdict(augmentation),
            "weights_from": card.weights,
            "seed": seed,
            "maker": maker,
            "device": device,
            "threads": threads,
            "processes": ranks.size,
        }
        state = load_state(out, config) if resume else None
        so_far = SoFar() if state is None else SoFar.from_state(state["so_far"])
        in_float32 = partial(
            validate_in_float32,
            net,
            splits,
            card.preprocess,
            choice=optimisation,
            loss=loss,
            maker=maker,
            device=device,
            threads=threads,
            max_pixels=data.max_pixels,
        )
        rounded = optimisation.tune == "head" and in_bf16(
            optimisation.precision, device=torch.device(device)
        )
        run = Run(
            out,
            net,
            card,
            splits,
            so_far,
            keeping,
            device=device,
            max_pixels=data.max_pixels,
            validate_exactly=in_float32 if rounded else None,
        )
        if so_far.is_over(epochs=optimisation.epochs, patience=keeping.patience):
            from_first(None, ranks)
            return run.finish()
        passes = optimisation.epochs if optimisation.tune == "all" else 1
        count = _counter(on_step, splits, passes=passes, done=len(so_far.history))
        decoding = open_decoding(
            maker,
            card.preprocess,
            choice=optimisation,
            device=device,
            threads=threads,
            max_pixels=data.max_pixels,
            ranks=ranks,
            on_pictures=count,
        )
        with closing(decoding.maker):
            if state is None:
                start_run(out, config, images=used)
            from_first(
                Start(config["shards_sha256"], None if state is None else state["fit"]), ranks
            )
            fit = open_fit(
                net,
                splits,
                decoding,
                optimisation,
                loss,
                augmentation=augmentation,
                seed=seed % 2**63,
            )
            assert fit is not None
            if state is not None:
                fit.restore(state["fit"])
                set_generators(state["generators"], device=device)
            run.train(fit, epochs=optimisation.epochs, on_epoch=on_epoch)
            if isinstance(fit, WholeFit):
                fit.end()
    return run.finish()


def _check_batches(network: Network, splits: Splits, choice: Optimisation) -> None:
    """Refuse to normalise a batch of one by its own statistics: it has no variance."""
    normalised = any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in network.modules())  # noqa: SLF001 - the only common base
    pictures = len(splits.train.pictures)
    if choice.tune == "all" and normalised and min(choice.batch_size, pictures) < 2:
        raise TrainError(
            f"{pictures} pictures in batches of {choice.batch_size}: this backbone normalises "
            f"batches and needs two pictures in each. Use a larger --batch-size, more pictures, "
            f"or --tune head."
        )


def _check_augmentation(augmentation: Augmentation, choice: Optimisation) -> None:
    """Refuse it for features that are computed once: docs/training.md says why."""
    if choice.tune == "head" and augmentation != Augmentation():
        raise TrainError(
            "--crop-scale, --flip and --jitter need --tune all: with --tune head each picture goes "
            "through the backbone once, as it is."
        )


def _counter(
    on_step: Callable[[int, int], None] | None, splits: Splits, *, passes: int, done: int
) -> Callable[[int], None]:
    """Add up pictures as they are done, after those of passes done before, and pass the sum on."""
    pictures = len(splits.train.pictures) + len(splits.val.pictures)
    seen = pictures * (done if passes > 1 else 0)

    def add(more: int) -> None:
        nonlocal seen
        seen += more
        if on_step is not None:
            on_step(seen, passes * pictures)

    return add
