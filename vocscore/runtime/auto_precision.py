"""Chooses the arithmetic of a run: `--precision auto` may take a quantized model.

It does so where the model is faithful to float32 (`Fidelity`, as measured by `vocscore quantize`)
and faster on this machine. The speed is measured once per machine and model, and cached beside the
compiled models.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from math import inf
from typing import TYPE_CHECKING

import torch

from vocscore.device import CPU, Device
from vocscore.errors import CheckpointError, DeviceError
from vocscore.models.checkpoint_files import take
from vocscore.runtime.asked import Asked
from vocscore.runtime.compile_cache import cache_key, load_or_compile
from vocscore.runtime.int8 import has_quantized, quantized
from vocscore.runtime.load import machine_facts, open_files
from vocscore.runtime.precision import (
    MOST_CHANGED,
    MOST_DIFFERENCE,
    Fidelity,
    resolve_precision,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from vocscore.device import Precision
    from vocscore.models.card import ModelCard
    from vocscore.runtime.base import Runtime
    from vocscore.runtime.int8 import Quantized

FEWEST_IMAGES = 1000
"""Images of a run from which `auto` may take int8. Every start of an int8 model proves it on a
batch per core, which some hundred images have to repay, and the first one compiles it."""
LEAST_SPEEDUP = 1.1
"""How many times as fast int8 has to be: less may be the error of the measurement."""
_ROUNDS, _SECONDS = 5, 1.0
"""Rounds of a measurement at most, and CPU seconds after which it ends."""
_FORMAT = 1
_KEPT = "with which the run began"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a run needs of the arithmetic.

    Attributes:
        precision: as asked for: 'auto' or one of `vocscore.device.PRECISIONS`.
        group: images in a full batch of the network on a CPU.
        images: number of images; None: unknown, and probably many.
        features: whether the backbone's features are computed too.
        sizes: number of sizes that every image is scored in.
        begun: the precision of an unfinished or finished run of the same command, which stays.
    """

    precision: str
    group: int
    images: int | None = None
    features: bool = False
    sizes: int = 1
    begun: str | None = None


@dataclass(frozen=True, slots=True)
class Chosen:
    """The arithmetic of a run.

    Attributes:
        precision: as it is computed.
        reason: why, if there is a quantized model and `auto` had a choice; else ''.
        int8: hash of the quantized model, with precision 'int8'.
    """

    precision: Precision
    reason: str = ""
    int8: str | None = None


def choose_precision(
    wanted: Wanted, card: ModelCard, *, folder: Path, identity: str, device: Device | str
) -> Chosen:
    """Choose the arithmetic of a run.

    Args:
        wanted: what the run needs.
        card: card of the checkpoint.
        folder: folder of the checkpoint.
        identity: hash of the checkpoint.
        device: the CPU, or a GPU with its number; or its name.

    Raises:
        DeviceError: the device does not support what was asked for.
        CheckpointError: int8 was asked for, and there is no usable model.
    """
    device = Device.parse(device)
    plain = resolve_precision(wanted.precision, card, device=device)
    if plain == "int8":
        return Chosen("int8", int8=quantized(folder, identity=identity).sha256)
    if wanted.precision != "auto":
        return Chosen(plain)
    if wanted.begun == "int8" and wanted.sizes == 1 and not device.is_gpu:
        return Chosen("int8", _KEPT, quantized(folder, identity=identity).sha256)
    if wanted.begun is not None:
        return _kept(plain, wanted.begun, card, device=device)
    if device.is_gpu or not has_quantized(folder):
        return Chosen(plain)
    return _weighed(plain, wanted, card, folder=folder, identity=identity)


def _kept(plain: Precision, begun: str, card: ModelCard, *, device: Device) -> Chosen:
    """Keep the arithmetic of a run; where the device lacks it, the run will be refused."""
    try:
        precision = resolve_precision(begun, card, device=device)
    except DeviceError:
        return Chosen(plain)
    return Chosen(precision, "" if precision == plain else _KEPT)


def _weighed(
    plain: Precision, wanted: Wanted, card: ModelCard, *, folder: Path, identity: str
) -> Chosen:
    """Choose between the quantized model, which is there, and another arithmetic, on the CPU."""
    try:
        found = quantized(folder, identity=identity)
        obstacle = _obstacle(found, wanted)
        asked = Asked(CPU, plain, wanted.group)
        speedup = 0.0 if obstacle else _speedup(found, asked, card, folder=folder)
    except (CheckpointError, DeviceError) as error:
        return Chosen(plain, f"because int8 cannot be used: {error}")
    if obstacle:
        return Chosen(plain, f"because {obstacle}")
    if speedup < LEAST_SPEEDUP:
        return Chosen(plain, f"because int8 is only {speedup:.2f} times as fast here")
    reason = f"{speedup:.1f} times as fast as {plain} here; {_told(found)}"
    return Chosen("int8", reason, found.sha256)


def _obstacle(found: Quantized, wanted: Wanted) -> str:
    """Why a quantized model is not taken, whatever its speed; '' if nothing is in the way."""
    if not found.images:
        return "how close int8 is to float32 was not recorded; quantize the model again"
    if not Fidelity(found.images, found.largest, found.changed).faithful:
        return (
            f"int8 is not close enough: {_told(found)} (auto allows {MOST_DIFFERENCE:g} and "
            f"{MOST_CHANGED:.1%})"
        )
    if wanted.features or wanted.sizes > 1:
        what = "of several sizes" if wanted.sizes > 1 else "with features"
        return f"int8 does not serve runs {what}"
    if wanted.images is not None and wanted.images < FEWEST_IMAGES:
        return f"int8 does not pay for fewer than {FEWEST_IMAGES:,} images"
    return ""


def _told(found: Quantized) -> str:
    return (
        f"probabilities differ from float32's by at most {found.largest:.2g}, "
        f"{found.changed:.2%} of the decisions ({found.images} images)"
    )


def _speedup(found: Quantized, plain: Asked, card: ModelCard, *, folder: Path) -> float:
    """How many times as fast int8 is as another arithmetic on this machine: cached or measured."""

    def measured() -> float:
        in_int8 = replace(plain, precision="int8", int8=found.sha256)
        one, other = (
            open_files(take(folder, identity=found.made_from), asked) for asked in (plain, in_int8)
        )
        return measure_speedup(one, other, images=_noise(plain.group, card.preprocess.size))

    facts = {
        "weights": found.made_from,
        "than": plain.precision,
        "group": plain.group,
        "speed": _FORMAT,
    }
    speedup: float = load_or_compile(
        cache_key({**machine_facts(found.sha256), **facts}),
        load=_parsed,
        make=measured,
        dump=lambda speedup: str(speedup).encode(),
        suffix=".speed",
    )
    return speedup


def measure_speedup(
    plain: Runtime,
    other: Runtime,
    *,
    images: torch.Tensor,
    clock: Callable[[], float] = time.process_time,
) -> float:
    """How many times as fast a runtime is as another one.

    The time is that of the CPU: a machine that is busy with other work takes longer on the clock,
    but about as many CPU seconds. All streams work at once, as in a run, and both runtimes in turn.

    Args:
        plain: the one.
        other: the other.
        images: a full batch.
        clock: returns seconds.
    """
    spent: tuple[list[float], list[float]] = ([], [])
    while len(spent[0]) < _ROUNDS and sum(map(sum, spent)) < _SECONDS:
        for runtime, seconds in zip((plain, other), spent, strict=True):
            begun = clock()
            started = [runtime.submit(images) for _ in range(max(1, runtime.in_flight - 1))]
            for results in started:
                results()
            seconds.append(clock() - begun)
    return min(spent[0]) / max(min(spent[1]), 1e-9)


def _parsed(data: bytes) -> float:
    try:
        speedup = float(data)
    except ValueError as error:
        raise RuntimeError("not a number") from error
    if not 0 < speedup < inf:  # also of NaN, which would pass every comparison below
        raise RuntimeError("not a speedup")
    return speedup


def _noise(group: int, size: int) -> torch.Tensor:
    random = torch.Generator().manual_seed(0)
    made = torch.randint(256, (group, 3, size, size), dtype=torch.uint8, generator=random)
    return made.contiguous(memory_format=torch.channels_last)
