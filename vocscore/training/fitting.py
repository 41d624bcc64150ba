"""From splits to a finished run: the part of `train` that needs torch, after all checks."""

from __future__ import annotations

from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from shards.manifest import manifest_hash, read_manifest
from vocscore.errors import TrainError
from vocscore.pipeline.raw import refuse_other_set
from vocscore.records.keys import stored
from vocscore.records.run_settings import FOLDS, SEED, recorded_settings
from vocscore.records.trained_on import PACKED, chosen_on_validation, packed_facts
from vocscore.runtime.openvino import core
from vocscore.training.distributed import from_first
from vocscore.training.epochs import SoFar
from vocscore.training.finetune import FinetuneTrainer, in_bf16
from vocscore.training.fitting_folds import division_of, finish_with_folds
from vocscore.training.folds import select
from vocscore.training.map_memory import check_room_for_maps
from vocscore.training.quantizing import Quantizing
from vocscore.training.run import TrainingRun, set_generators
from vocscore.training.run_folder import QUANTIZE, load_state, start_run
from vocscore.training.setup import (
    Start,
    choose_device,
    frozen_features,
    map_of,
    new_network,
    open_decoding,
    open_fit,
    seeded,
    validate_in_float32,
)
from vocscore.training.splits import used_images

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from vocscore.config.optimization import OptimizationConfig
    from vocscore.device import Device
    from vocscore.models.card import ModelCard
    from vocscore.models.network import Network
    from vocscore.training.features import Decoding, Features
    from vocscore.training.folds import Division
    from vocscore.training.history import TrainReport
    from vocscore.training.job import Job
    from vocscore.training.splits import Splits


def fit(job: Job, splits: Splits) -> TrainReport:
    """Fit a network to the splits and write a run; see `vocscore.training.train.train`."""
    quantizing = Quantizing(job)
    return quantizing.added(_fit(job, splits, quantizing.steps))


def _fit(job: Job, splits: Splits, steps: Sequence[Callable[[ModelCard], None]]) -> TrainReport:
    """Fit the network; `steps` come last."""
    device = choose_device(job.compute.device, job.ranks)
    if not device.is_gpu and job.config.optimization.tune == "head":
        core()  # a missing dependency is reported before the folder is made
    with seeded(job.config.data.seed, device=device):
        job.stage("building the network")
        manifest, used = read_manifest(job.shards), used_images(splits)
        net, card = new_network(job.config.model, manifest.classes, on_stage=job.on_stage)
        refuse_other_set(manifest, card.preprocess, str(job.shards))
        _check_batches(net, splits, job.config.optimization)
        _check_maps(job, net, splits)
        division = division_of(job, splits, manifest.classes)
        packed = packed_facts(job.shards, manifest, used.train)
        config = _config(job, card, packed, device=device)
        state = load_state(job.out, config) if job.resume else None
        so_far = SoFar() if state is None else SoFar.from_state(state["so_far"])
        run = _open_run(job, net, card, splits, so_far, device=device)
        over = so_far.is_over(epochs=job.config.passes, patience=job.config.checkpoint.patience)
        if over and division is None:
            from_first(None, job.ranks)
            return run.finish(*steps)
        job.stage("preparing the network")
        decoding = open_decoding(
            job.compute.loader,
            card.preprocess,
            choice=job.config.optimization,
            device=device,
            threads=job.threads,
            max_pixels=job.config.data.max_pixels,
            ranks=job.ranks,
            on_images=_counter(job, splits, done=len(so_far.history)),
        )
        with closing(decoding.loader):
            if state is None:
                start_run(job.out, config, images=used)
            begun = None if state is None else state["fit"]
            from_first(Start(config["shards_sha256"], begun), job.ranks)
            features = _train(job, run, decoding, state, division=division)
        if division is None or features is None:
            return run.finish(*steps)
        return finish_with_folds(job, run, features, division, decoding, steps=steps)


def _train(
    job: Job,
    run: TrainingRun,
    decoding: Decoding,
    state: dict[str, Any] | None,
    *,
    division: Division | None,
) -> Features | None:
    """Train the remaining epochs.

    Returns:
        The features of the images in the division; None without one.
    """
    features = frozen_features(run.network, run.splits, decoding, job.config.optimization)
    trained = open_fit(
        run.network,
        run.splits,
        decoding,
        job.config,
        features=features,
    )
    assert trained is not None
    kept = None if division is None else select(features, division)
    del features  # the trainer has its own
    if state is not None:
        trained.restore(state["fit"])
        set_generators(state["generators"], device=run.device)
    job.stage("training" if isinstance(trained, FinetuneTrainer) else "training the head")
    run.train(trained, epochs=job.config.passes, on_epoch=job.on_epoch)
    if isinstance(trained, FinetuneTrainer):
        trained.end()
    return kept


def _config(
    job: Job, card: ModelCard, packed: Mapping[str, Any], *, device: Device
) -> dict[str, Any]:
    """Every requested setting, for the record and for a resume."""
    return {
        "recipe": job.recipe,
        "shards": str(job.shards),
        "shards_sha256": manifest_hash(job.shards),
        PACKED: packed,
        **recorded_settings(job.config),
        "weights_from": card.weights,
        SEED: job.config.data.seed,
        FOLDS: job.folds,
        **({QUANTIZE: True} if job.quantize else {}),
        **stored({"loader": job.compute.loader}),
        "device": str(device),
        "threads": job.threads,
        "processes": job.ranks.size,
    }


def _open_run(
    job: Job, net: Network, card: ModelCard, splits: Splits, so_far: SoFar, *, device: Device
) -> TrainingRun:
    in_float32 = partial(
        validate_in_float32,
        net,
        splits,
        card.preprocess,
        choice=job.config.optimization,
        loss=job.config.loss,
        loader=job.compute.loader,
        device=device,
        threads=job.threads,
        max_pixels=job.config.data.max_pixels,
    )
    rounded = job.config.optimization.tune == "head" and in_bf16(
        job.config.optimization.precision, device=torch.device(str(device))
    )
    return TrainingRun(
        job.out,
        net,
        card,
        splits,
        so_far,
        job.config.checkpoint,
        device=device,
        max_pixels=job.config.data.max_pixels,
        validate_exactly=in_float32 if rounded else None,
        chosen=chosen_on_validation(recorded_settings(job.config)),
        chart_format=job.chart_format,
        on_stage=job.on_stage,
    )


def _check_batches(network: Network, splits: Splits, choice: OptimizationConfig) -> None:
    """Refuse to normalize a batch of one image by its own statistics: it has no variance."""
    normalized = any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in network.modules())  # noqa: SLF001 - the only common base
    images = len(splits.train.images)
    if choice.tune == "all" and normalized and min(choice.batch_size, images) < 2:
        raise TrainError(
            f"{images} images in batches of {choice.batch_size}: this backbone uses batch "
            f"normalization and needs two images in each batch. Use a larger `batch_size`, more "
            f"images, or `tune='head'`."
        )


def _check_maps(job: Job, network: Network, splits: Splits) -> None:
    """Say what the maps of a head on maps will take.

    Raises:
        TrainError: there is not enough memory.
    """
    shape = map_of(network, size=job.config.model.size)
    if shape is not None:
        images = len(splits.train.images) + len(splits.val.images)
        job.stage(check_room_for_maps(shape, images, folds=job.folds is not None))


def _counter(job: Job, splits: Splits, *, done: int) -> Callable[[int], None]:
    """Make a callback that reports the total of images done, including those of earlier epochs.

    The first call marks the end of the setup: from then on, images go through the network.
    """
    whole = job.config.optimization.tune == "all"
    passes = job.config.optimization.epochs if whole else 1
    images = len(splits.train.images) + len(splits.val.images)
    seen = images * done if whole else 0
    begun = False

    def add(more: int) -> None:
        nonlocal seen, begun
        if not begun and not whole:
            job.stage("computing features")
        begun = True
        seen += more
        if job.on_step is not None:
            job.on_step(seen, passes * images)

    return add
