"""The sections in their order: each by itself, so that one that fails costs only itself."""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from bench.gpu import correctness, decoding, networks, whole
from bench.gpu.place import Place
from bench.outcome import Outcome
from vocscore.errors import DeviceError
from vocscore.runtime import resolve_device

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from bench.options import Options

    Section = Callable[[Place], Iterator[Outcome]]

SECTIONS: Mapping[str, Section] = {
    "correctness": correctness.compare,
    "bad images": correctness.bad_images,
    "ceilings of images": decoding.ceilings,
    "networks alone": networks.precisions,
    "score": whole.scoring,
    "peers": whole.peers,
    "sweep of decoding": decoding.sweep,
    "sweep of the network's batch": networks.batches,
    "train": whole.training,
    "compiled": networks.compiled,
}
"""What matters most comes first: when the time is up, the rest is left out."""


def contest(options: Options) -> Iterator[Outcome]:
    """The contest as the command line asks for it.

    Raises:
        SystemExit: with code 2 and a line, where there is no such GPU.
    """
    try:
        device = resolve_device(options.device)
    except DeviceError as error:
        print(f"bench gpu: {error}", file=sys.stderr)
        raise SystemExit(2) from error
    if device != "cpu":
        torch.cuda.init()  # type: ignore[no-untyped-call]  # or whoever asks for its memory before anything ran would fail
    few = options.images
    place = Place(
        device=device,
        scratch=options.scratch / "gpu",
        quick=options.quick,
        repeats=options.repeats,
        backbones=tuple(options.backbones),
        **({"shard": max(1, few // 2), "shards": 2, "size": 64, "batch": 8} if few else {}),
        seconds=0.0 if few else 1.0,
    )
    yield from run(place, seconds=options.seconds)


def run(
    place: Place, *, seconds: float, sections: Mapping[str, Section] = SECTIONS
) -> Iterator[Outcome]:
    """Run the sections until the time is up; one under way begins no measurement after it.

    Args:
        place: where.
        seconds: of all sections together.
        sections: name -> what it yields.
    """
    place = replace(place, until=time.monotonic() + seconds)
    for name, section in sections.items():
        if place.time_is_up:
            yield _missing(name, f"not run: the {seconds:.0f} s were up")
            continue
        started = time.monotonic()
        try:
            for outcome in section(place):
                yield outcome
                if place.time_is_up:
                    yield _missing(name, f"cut short: the {seconds:.0f} s were up")
                    break
        # Whatever it is: what comes after it on a borrowed machine is worth more than this error.
        except Exception as error:  # noqa: BLE001
            yield _missing(name, _failed(error))
        try:
            place.tidy()
            yield _spent(place, name, time.monotonic() - started)
        except RuntimeError as error:  # a GPU that the section has left in no good state
            yield _missing(f"{name}, memory after it", _failed(error))


def _failed(error: Exception) -> str:
    return " ".join(f"failed: {type(error).__name__}: {error}".split())


def _missing(name: str, why: str) -> Outcome:
    return Outcome(
        contest="gpu", title=f"section {name}", absent={name: why}, key={"part": f"missing {name}"}
    )


def _spent(place: Place, name: str, seconds: float) -> Outcome:
    """Seconds, and the memory of the whole device: DALI's is not torch's."""
    facts: dict[str, object] = {"seconds": seconds}
    line = f"{seconds:.0f} s"
    if place.on_gpu:
        free, total = torch.cuda.mem_get_info(place.device)
        facts |= {"used_megabytes": (total - free) / 1e6, "total_megabytes": total / 1e6}
        line += f"; {(total - free) / 1e6:.0f} of {total / 1e6:.0f} MB of the GPU in use after it"
    return Outcome(
        contest="gpu",
        title=f"section {name}: done",
        key={"part": f"spent {name}"},
        facts=facts,
        lines=(line,),
    )
