"""The network alone: ready images to probabilities, by precision, beside the matrix product."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch

from bench.agreement import BF16, EXACT, Limit, compare
from bench.matrix import best_product, gflop_per_image
from bench.outcome import Outcome
from bench.runtimes import PRECISIONS, enough, groups, open_precisions, product, run_through
from bench.timing import interleave_values, timed_rate

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from bench.subjects import Subject
    from vocscore.runtime import Runtime

BASELINE = "eager float32"
IMAGES = 64
"""Sent through a network in a repeat."""


@dataclass(frozen=True)
class Contestant:
    """One way to run a network.

    Attributes:
        answers: uint8 images (N, 3, S, S) -> probabilities float32 (N, C).
        work: sends batches through, and returns how many images that were.
        limit: of what it may differ by from the baseline.
        product: the precision whose matrix product is its wall; '' where none is known.
    """

    answers: Callable[[torch.Tensor], NDArray[np.float32]]
    work: Callable[[list[torch.Tensor]], int]
    limit: Limit
    product: str


def compare_models(subject: Subject, *, repeats: int, images: int = IMAGES) -> Outcome:
    """Rates of one backbone in every precision, and how far its answers are from float32's.

    Args:
        subject: the checkpoint, and the images to compare the answers on.
        repeats: counted rounds.
        images: sent through in each.
    """
    network, card = subject.load()
    runtimes, absent = open_precisions(subject)
    contestants = _eager(subject) | {
        f"vocscore, {name}": _own(name, one, subject) for name, one in runtimes.items()
    }
    answers = {name: _answers(one, subject.images) for name, one in contestants.items()}
    compared = compare(
        answers[BASELINE],
        answers,
        limits={name: one.limit for name, one in contestants.items()},
        threshold=card.decision_threshold,
    )
    absent = {f"vocscore, {name}": why for name, why in absent.items()} | compared.refused
    gflop = gflop_per_image(network, size=card.preprocess.size)
    some = subject.images[torch.arange(images) % len(subject.images)]
    ready = list(groups(some.contiguous(memory_format=torch.channels_last)))
    work = {
        name: partial(timed_rate, partial(one.work, ready))
        for name, one in contestants.items()
        if name not in absent
    }
    products = {
        f"matrix product, {kind}": partial(_product, kind, gflop) for kind in ("float32", "bf16")
    }
    rates = interleave_values({**work, **products}, repeats=repeats)
    return Outcome(
        contest="models",
        title=f"models, {subject.backbone}: ready images to probabilities on the CPU",
        rates=rates,
        baseline=BASELINE,
        walls={
            name: f"matrix product, {contestants[name].product}"
            for name in work
            if contestants[name].product
        },
        absent=absent,
        key={"backbone": subject.backbone},
        facts={
            "weights": subject.weights,
            "agreement": {name: found.to_json() for name, found in compared.found.items()},
            "gflop_a_picture": gflop,
            "gflop_per_second": {name: rate.median * gflop for name, rate in rates.items()},
        },
        lines=(
            f"{subject.weights}; compared on {len(subject.images)} images with {BASELINE}:",
            *(f"  {name}: {found}" for name, found in compared.found.items()),
            f"{gflop:.2f} GFLOP an image; GFLOP/s reached: "
            + ", ".join(f"{name} {rate.median * gflop:.0f}" for name, rate in rates.items()),
        ),
    )


def _answers(one: Contestant, images: torch.Tensor) -> NDArray[np.float32]:
    return np.concatenate([one.answers(group) for group in groups(images)])


def _eager(subject: Subject) -> dict[str, Contestant]:
    """PyTorch's own ways, none of them compiled."""
    plain = torch.contiguous_format
    ways = {
        BASELINE: (plain, False, EXACT),
        "eager float32, channels-last": (torch.channels_last, False, EXACT),
        "eager bf16 autocast, channels-last": (torch.channels_last, True, BF16),
    }
    found = {}
    for name, (layout, autocast, limit) in ways.items():
        answers = _eager_answers(subject, layout=layout, autocast=autocast)
        found[name] = Contestant(
            answers,
            partial(_one_by_one, answers),
            limit,
            "bf16" if autocast else "float32",
        )
    return found


def _eager_answers(
    subject: Subject, *, layout: torch.memory_format, autocast: bool
) -> Callable[[torch.Tensor], NDArray[np.float32]]:
    network, card = subject.load()
    network = network.eval().to(memory_format=layout)

    @torch.inference_mode()
    def answers(images: torch.Tensor) -> NDArray[np.float32]:
        pixels = card.preprocess.normalize(images).contiguous(memory_format=layout)
        with torch.autocast("cpu", torch.bfloat16) if autocast else nullcontext():
            logits = network(pixels)
        scores: NDArray[np.float32] = card.probabilities(logits).numpy()
        return scores

    return answers


def _one_by_one(
    answers: Callable[[torch.Tensor], NDArray[np.float32]], ready: list[torch.Tensor]
) -> int:
    return sum(len(answers(batch)) for batch in ready)


def _product(kind: str, gflop: float) -> float:
    """Images per second of which each takes so much arithmetic."""
    return best_product(kind) / gflop


def _own(name: str, runtime: Runtime, subject: Subject) -> Contestant:
    return Contestant(
        runtime.probabilities,
        lambda ready: run_through(runtime, enough(ready, runtime, images=sum(map(len, ready)))),
        PRECISIONS[name].limit,
        product(name, subject),
    )
