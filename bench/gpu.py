"""Everything to measure on a machine with a GPU: the other contests on the device, one by one.

A contest that fails does not end the run: on a borrowed machine the remaining contests matter more.
"""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import torch

from bench import gpu_decoding, raw
from bench.contests import CONTESTS
from bench.models import enough, run_through
from bench.outcome import Outcome
from bench.score import DECODE, ScoreContest, bottleneck, ceiling, ours
from bench.timing import Timed, consume, interleave
from vocscore.errors import DeviceError
from vocscore.machine import usable_cores
from vocscore.runtime import resolve_device

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from bench.contests import Options

    Section = Callable[[Options], Iterator[Outcome]]

BACKBONE = "resnet18"
"""A small network, whose scoring loading may bound."""


def score_raw(options: Options) -> Iterator[Outcome]:
    """Rates from raw shards to CSV, beside loading and the network alone."""
    images = raw.packed(options.image_set(raw.ON_GPU), options.scratch / "raw")
    own = replace(options, scratch=options.scratch / "raw-score")
    contest = ScoreContest(own, BACKBONE, names=("default",))
    runtime, refs = contest.runtimes["default"], images.refs
    with contest.loader(options.device) as loader:
        first = next(iter(loader.batches(refs))).images
        ready = enough(torch.split(first, options.group), runtime, number=len(refs))
        work: dict[str, Callable[[], int | Timed]] = {
            DECODE: partial(consume, loader, refs, device=options.device),
            ceiling("default"): partial(run_through, runtime, ready),
            ours("default"): partial(contest.score, "default", images.folder, len(refs)),
        }
        rates = interleave(work, repeats=options.repeats)
    yield Outcome(
        contest="gpu",
        title=f"raw shards to CSV, {BACKBONE}, on {options.where}, {usable_cores()} cores",
        rates=rates,
        ceilings={ours("default"): bottleneck("default", rates)},
        key={**images.key, "part": "raw score", "backbone": BACKBONE},
        facts={**images.facts, "weights": contest.checkpoint.weights},
    )


SECTIONS: Mapping[str, Section] = {
    "bad files": CONTESTS["dirty"].run,
    "engines": gpu_decoding.run,
    "raw shards": CONTESTS["raw"].run,
    "score, raw shards": score_raw,
    "ceilings": CONTESTS["ceilings"].run,
    "models": CONTESTS["models"].run,
    "score": CONTESTS["score"].run,
    "score, resized": lambda options: CONTESTS["score"].run(
        replace(options, kind="resized", scratch=options.scratch / "resized")
    ),
    "train": CONTESTS["train"].run,
}
"""The most important first: when the time is up, the rest is not run."""


def run(options: Options, *, sections: Mapping[str, Section] = SECTIONS) -> Iterator[Outcome]:
    """Run the sections until the time is up; exit with code 2 if there is no such GPU."""
    try:
        device = resolve_device(options.device)
    except DeviceError as error:
        print(f"bench gpu: {error}", file=sys.stderr)
        raise SystemExit(2) from error
    options = replace(options, device=device)
    until = time.monotonic() + options.seconds
    for name, section in sections.items():
        if time.monotonic() > until:
            yield _missing(name, f"not run: the {options.seconds:.0f} s were up")
            continue
        try:
            for outcome in section(options):
                yield outcome
                if time.monotonic() > until:
                    yield _missing(name, f"cut short: the {options.seconds:.0f} s were up")
                    break
        except Exception as error:  # noqa: BLE001
            # Any error, of torch, DALI or a contest: it is an outcome, and the other sections run.
            # What ends a process (KeyboardInterrupt, SystemExit) is not caught.
            why = " ".join(f"failed: {type(error).__name__}: {error}".split())
            yield _missing(name, why)
        if device != "cpu":
            torch.cuda.empty_cache()


def _missing(name: str, why: str) -> Outcome:
    return Outcome(
        contest="gpu", title=f"section {name}", absent={name: why}, key={"part": f"missing {name}"}
    )
