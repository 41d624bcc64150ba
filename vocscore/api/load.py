"""Loads a trained model into memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vocscore.api.checks import run_place
from vocscore.api.model import Model
from vocscore.api.setup import Setup
from vocscore.config.compute import DecodeConfig
from vocscore.config.scoring import InferenceConfig
from vocscore.machine import bound_images, usable_cores
from vocscore.pipeline.several_sizes import open_sizes
from vocscore.runtime import resolve_device
from vocscore.runtime.precision import resolve_precision
from vocscore.scoring.chosen_model import check_model
from vocscore.scoring.engines.batching import CPU_GROUP

if TYPE_CHECKING:
    import os


def load(
    run: str | os.PathLike[str],
    *,
    device: str = "auto",
    precision: str = "auto",
    workers: int | None = None,
    loader: str = "auto",
    batch_size: int = DecodeConfig.batch_size,
    max_pixels: int = DecodeConfig.max_pixels,
    image_memory: int = InferenceConfig.image_memory,
    tta: str | None = None,
) -> Model:
    """Load a trained model for prediction.

    The arguments and their defaults are those of `vocscore score`.

    Args:
        run: the folder that `vocscore train` wrote.
        device: 'auto' (the first GPU, else the CPU), 'cpu', 'cuda' or 'cuda:N'.
        precision: 'auto' (bf16 if training has shown that it preserves the model's probabilities
            and the device computes in it, else float32), 'float32', 'bf16', or 'int8' (after
            `vocscore quantize`), which 'auto' takes only in `vocscore score`, for many images.
        workers: threads that read and decode; None: one per usable core.
        loader: 'auto' (DALI on a GPU, else the host), 'host', 'dali' or 'reference'.
        batch_size: images decoded together. On a CPU it does not change a bit of any result; on a
            GPU it is also the network's batch size, and may change the last bits.
        max_pixels: largest width times height of an image; the result of a larger one is an error.
        image_memory: MiB for files and pixels of the images that this process decodes at the same
            time, with any number of `workers`. Threads wait for it; one image is always decoded. It
            changes no result. It applies to all models and loaders of the process, until another
            call sets it.
        tta: 'flip', 'size=448' or 'flip,size=448': average the logits of the image and its mirror
            image, in the model's size and in the other one. Each view costs a forward pass.

    Raises:
        CheckpointError: the folder has no finished model, none in int8, or one that does not take
            images of the other size.
        DeviceError: the device does not exist, or does not compute in this precision.
        OptionError: an argument is out of its range.
    """
    folder = run_place("run", run)
    compute = InferenceConfig(
        device=device,
        precision=precision,
        workers=workers,
        loader=loader,
        image_memory=image_memory,
        tta=tta,
    )
    DecodeConfig(batch_size=batch_size, max_pixels=max_pixels)  # checks the ranges
    card, identity = check_model(folder, compute)
    where = resolve_device(device)
    arithmetic = resolve_precision(precision, card, device=where)
    group = CPU_GROUP if where == "cpu" else batch_size
    bound_images(compute.image_memory)
    setup = Setup(folder, identity, where, arithmetic, group, max_pixels, compute.views)
    runtime, card = setup.open()
    decoding = open_sizes(
        loader,
        card.preprocess,
        setup.sizes(card),
        batch_size=batch_size,
        device=where,
        threads=workers or usable_cores(),
        max_pixels=max_pixels,
    )
    return Model(card, setup, runtime=runtime, decoding=decoding)
