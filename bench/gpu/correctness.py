"""Does the GPU's way say what the CPU's says, of good images and of bad ones?"""

from __future__ import annotations

import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING
from unittest.mock import patch

import numpy as np
import torch

from bench.agreement import agreement
from bench.gpu.place import DIETS, JPEG
from bench.outcome import Outcome
from shards.images import image_file, jpeg
from shards.sample import ImageRef
from vocscore.config import ScoreConfig
from vocscore.machine import usable_cores
from vocscore.models.checkpoint import load_checkpoint
from vocscore.pipeline import dali_routing
from vocscore.pipeline.host import HostLoader
from vocscore.runtime.cuda import CudaRuntime

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from bench.gpu.place import Place
    from vocscore.pipeline.batch import ImageLoader

_COMPARED = 200
_GOOD = 60


@dataclass(frozen=True)
class Decoded:
    """What a loader made of some images.

    Attributes:
        pixels: uint8, (N, 3, S, S); a failed row is 0.
        failed: row -> the reason.
    """

    pixels: torch.Tensor
    failed: dict[int, str]


def decoded(loader: ImageLoader, refs: Sequence[ImageRef], *, size: int) -> Decoded:
    """Decode, and put every row on its place, in main memory."""
    pixels = torch.zeros((len(refs), 3, size, size), dtype=torch.uint8)
    pixels = pixels.contiguous(memory_format=torch.channels_last)
    failed: dict[int, str] = {}
    for batch in loader.batches(refs):
        pixels[torch.from_numpy(batch.rows)] = batch.images.cpu()
        failed |= {failure.row: str(failure.reason) for failure in batch.failures}
    return Decoded(pixels, failed)


def host_loader(place: Place) -> HostLoader:
    """The CPU's loader: the truth here."""
    return HostLoader(
        place.preprocess,
        batch_size=place.batch,
        threads=usable_cores(),
        max_pixels=ScoreConfig.max_pixels,
    )


def runtime(place: Place, backbone: str, *, device: str, precision: str) -> CudaRuntime:
    """The network of a checkpoint on a device."""
    network, card = load_checkpoint(place.checkpoint(backbone))
    return CudaRuntime(
        network,
        preprocess=card.preprocess,
        classes=len(card.classes),
        device=device,
        precision=precision,
        batch_size=place.batch,
    )


def compare(place: Place) -> Iterator[Outcome]:
    """Pixels and probabilities beside the host loader's and the CPU's float32."""
    for diet in DIETS:
        refs = place.refs(diet)[:_COMPARED]
        with host_loader(place) as host:
            truth = decoded(host, refs, size=place.size)
        with place.loader() as loader:
            found = decoded(loader, refs, size=place.size)
        yield _pixels(diet, truth.pixels, found.pixels)
        if diet == JPEG:
            for backbone in place.backbones:
                yield _probabilities(place, backbone, truth.pixels, found.pixels)


def _pixels(diet: str, truth: torch.Tensor, found: torch.Tensor) -> Outcome:
    apart = (truth.short() - found.short()).abs()
    facts = {
        "pictures": len(truth),
        "largest_gray_levels": int(apart.max()),
        "mean_gray_levels": float(apart.float().mean()),
        "share_beyond_3": float((apart > 3).float().mean()),
    }
    line = ", ".join(f"{name.replace('_', ' ')} {value:.5g}" for name, value in facts.items())
    return Outcome(
        contest="gpu",
        title=f"correctness: DALI's pixels beside the host's, {diet}",
        key={"part": "pixels", "diet": diet},
        facts=facts,
        lines=(line,),
    )


def _probabilities(
    place: Place, backbone: str, truth: torch.Tensor, found: torch.Tensor
) -> Outcome:
    """Each step by itself, then both: the decoder's share and the arithmetic's."""
    exact = _answers(place, backbone, truth, device="cpu", precision="float32")
    device = place.device
    ways = {
        "host's pixels, float32": (truth, "float32"),
        "host's pixels, TF32": (truth, "tf32"),
        "host's pixels, bf16": (truth, "bf16"),
        "DALI's pixels, float32": (found, "float32"),
        "DALI's pixels, bf16": (found, "bf16"),
    }
    each = {
        name: agreement(
            exact,
            _answers(place, backbone, pixels, device=device, precision=precision),
            threshold=0.5,
        )
        for name, (pixels, precision) in ways.items()
    }
    return Outcome(
        contest="gpu",
        title=f"correctness: {backbone} on {device} beside the CPU's float32 on the host's pixels",
        key={"part": "probabilities", "backbone": backbone},
        facts={name: one.to_json() for name, one in each.items()},
        lines=(
            "random weights, probabilities spread around the threshold:",
            *(f"  {name}: {one}" for name, one in each.items()),
        ),
    )


def _answers(
    place: Place, backbone: str, pixels: torch.Tensor, *, device: str, precision: str
) -> np.ndarray:
    running = runtime(place, backbone, device=device, precision=precision)
    starts = range(0, len(pixels), place.batch)
    return np.concatenate([running.probabilities(pixels[at : at + place.batch]) for at in starts])


def bad_files(good: bytes) -> dict[str, bytes]:
    """The ways in which files named .jpg are bad."""
    flipped = bytearray(good)
    for at in range(len(good) // 2, len(good) // 2 + 12):
        flipped[at] ^= 0x5A
    return {
        "truncated": good[: len(good) // 2],
        "flipped": bytes(flipped),
        "html": b"<!DOCTYPE html><html><body>404 Not Found</body></html>",
        "gif": b"GIF89a" + good[6:200],
        "empty": b"",
    }


def bad_images(place: Place) -> Iterator[Outcome]:
    """One bad image of each kind inside good batches: with the look, and without it."""
    good = image_file.read_bytes(place.refs(JPEG)[0], max_pixels=ScoreConfig.max_pixels)
    for kind, data in bad_files(good).items():
        refs = _mixed(place.scratch / f"bad-{kind}", good, data)
        with host_loader(place) as host:
            truth = decoded(host, refs, size=place.size)
        facts: dict[str, object] = {"host": truth.failed}
        lines = [f"host: {_verdict(truth)}"]
        for checked in (True, False):
            name = "DALI" if checked else "DALI without the strict look"
            started = time.perf_counter()
            found = _with_or_without_look(place, refs, checked=checked)
            seconds = time.perf_counter() - started
            others = [row for row in range(len(refs)) if row != _GOOD // 2]
            apart = (truth.pixels[others].short() - found.pixels[others].short()).abs().max()
            facts[name] = {
                "failed": found.failed,
                "seconds": seconds,
                "largest_difference_of_the_good": int(apart),
            }
            lines.append(
                f"{name}: {_verdict(found)}; the good ones within {int(apart)} gray levels"
            )
        yield Outcome(
            contest="gpu",
            title=f"a bad image inside a mixed batch: {kind}",
            key={"part": "bad image", "kind": kind},
            facts=facts,
            lines=tuple(lines),
        )


def _mixed(folder: Path, good: bytes, bad: bytes) -> list[ImageRef]:
    folder.mkdir()
    for row in range(_GOOD):
        (folder / f"{row:03d}.jpg").write_bytes(bad if row == _GOOD // 2 else good)
    return [ImageRef(file.name, str(file)) for file in sorted(folder.iterdir())]


def _with_or_without_look(place: Place, refs: list[ImageRef], *, checked: bool) -> Decoded:
    """Decode with DALI; unchecked, everything that is not empty enters the graph as it is."""
    with ExitStack() as stack:
        if not checked:
            stack.enter_context(patch.object(jpeg, "check", lambda _data: None))
            stack.enter_context(patch.object(dali_routing, "is_for_dali", lambda *_: True))
        loader = stack.enter_context(place.loader(batch=16))
        return decoded(loader, refs, size=place.size)


def _verdict(found: Decoded) -> str:
    reasons = Counter(found.failed.values())
    return ", ".join(f"{n} {reason}" for reason, n in reasons.items()) or "no failure"
