"""The network alone: decoded images to probabilities, by precision, beside eager PyTorch."""

from __future__ import annotations

from collections import deque
from contextlib import nullcontext
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch.utils.benchmark import Timer
from torch.utils.flop_counter import FlopCounterMode

from bench.agreement import BF16, EXACT, FAITHFUL, QUANTIZED, Limit, compare
from bench.outcome import Outcome
from bench.timing import interleave_values, timed_rate
from shards.errors import Error
from vocscore.models.card_file import checkpoint_hash
from vocscore.runtime.cuda import convolutions
from vocscore.runtime.load import open_checkpoint
from vocscore.runtime.precision import resolve_precision

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from numpy.typing import NDArray
    from torch import nn

    from bench.checkpoints import Checkpoint
    from bench.contests import Options
    from vocscore.models.card import ModelCard
    from vocscore.runtime import Results, Runtime

    Answers = Callable[[torch.Tensor], NDArray[np.float32]]

TRUTH = "eager float32"
PRECISIONS: dict[str, tuple[str, Limit]] = {
    "default": ("auto", FAITHFUL),
    "float32": ("float32", EXACT),
    "bf16": ("bf16", BF16),
    "int8": ("int8", QUANTIZED),
}
"""Contestant -> its `score --precision`, and its limit against eager float32."""
PRODUCTS = {"float32": torch.float32, "bf16": torch.bfloat16}
_SIDES = (1024, 2048, 4096)
_SECONDS = 0.25
"""Least time to repeat a matrix product of one size."""


class Contestant(NamedTuple):
    """One way to run a network.

    Attributes:
        answers: uint8 images (N, 3, S, S) -> probabilities float32 (N, C).
        work: runs batches and returns the number of images.
        limit: its largest deviation from eager float32.
        arithmetic: key of `PRODUCTS` whose matrix product is its ceiling; '' for none.
    """

    answers: Answers
    work: Callable[[Sequence[torch.Tensor]], int]
    limit: Limit
    arithmetic: str


def run(options: Options) -> Iterator[Outcome]:
    """An outcome per backbone."""
    for backbone in options.backbones:
        yield compare_models(options, options.checkpoint(backbone))


def compare_models(options: Options, checkpoint: Checkpoint) -> Outcome:
    """Rates of one network in every precision, and the deviation from eager float32."""
    network, card = checkpoint.load()
    images, device, group = checkpoint.images.to(options.device), options.device, options.group
    runtimes, missing = open_precisions(checkpoint, device=device, group=group)
    eager = _eager(checkpoint, device)
    own = {
        f"vocscore, {name}": _own(one, PRECISIONS[name], card, options)
        for name, one in runtimes.items()
    }
    everyone = eager | own
    answers = {}
    for name, one in everyone.items():
        # on a GPU, eager PyTorch rounds products in convolutions to 10 bits (TF32) by default
        with convolutions(exact=True) if name == TRUTH else nullcontext():
            parts = [one.answers(part) for part in torch.split(images, group)]
        answers[name] = np.concatenate(parts)
    compared, refused = compare(
        answers[TRUTH],
        answers,
        limits={name: one.limit for name, one in everyone.items()},
        threshold=card.decision_threshold,
    )
    absent = {f"vocscore, {name}": why for name, why in missing.items()} | refused
    left = {name: one for name, one in everyone.items() if name not in absent}
    gflop = gflop_per_image(network, size=card.preprocess.size)
    some = images[torch.arange(options.images or 2 * group, device=device) % len(images)]
    ready = torch.split(some.contiguous(memory_format=torch.channels_last), group)
    rates = interleave_values(
        {name: partial(timed_rate, partial(one.work, ready)) for name, one in left.items()}
        | {_product(n): partial(_products_per_image, n, gflop, device) for n in PRODUCTS},
        repeats=options.repeats,
    )
    return Outcome(
        contest="models",
        title=f"models, {checkpoint.backbone}: ready images to probabilities on {options.where}",
        rates=rates,
        peers=tuple(name for name in eager if name in left),
        ceilings={n: _product(one.arithmetic) for n, one in left.items() if one.arithmetic},
        absent=absent,
        key={"backbone": checkpoint.backbone},
        facts={
            "weights": checkpoint.weights,
            "agreement": {name: asdict(one) for name, one in compared.items()},
            "gflop_a_picture": gflop,
            "gflop_per_second": {name: rate.median * gflop for name, rate in rates.items()},
        },
        lines=(
            f"{checkpoint.weights}; compared on {len(images)} images with {TRUTH}:",
            *(f"  {name}: {one}" for name, one in compared.items()),
            f"{gflop:.2f} GFLOP per image; GFLOP/s reached: "
            + ", ".join(f"{name} {rate.median * gflop:.0f}" for name, rate in rates.items()),
        ),
    )


def _eager(checkpoint: Checkpoint, device: str) -> dict[str, Contestant]:
    """Eager PyTorch, not compiled, with its default precision of float32: on a GPU that is TF32."""
    float32 = EXACT if device == "cpu" else FAITHFUL
    ways = {
        TRUTH: (torch.contiguous_format, "float32", EXACT),
        "eager float32, channels-last": (torch.channels_last, "float32", float32),
        "eager bf16 autocast, channels-last": (torch.channels_last, "bf16", BF16),
    }
    found = {}
    for name, (layout, arithmetic, limit) in ways.items():
        autocast = arithmetic == "bf16"
        answers = _eager_answers(checkpoint, device, layout=layout, autocast=autocast)
        found[name] = Contestant(answers, partial(_one_by_one, answers), limit, arithmetic)
    return found


def _eager_answers(
    checkpoint: Checkpoint, device: str, *, layout: torch.memory_format, autocast: bool
) -> Answers:
    network, card = checkpoint.load()
    network = network.eval().to(device).to(memory_format=layout)

    @torch.inference_mode()
    def answers(images: torch.Tensor) -> NDArray[np.float32]:
        pixels = card.preprocess.normalize(images).contiguous(memory_format=layout)
        with (
            torch.autocast(device.partition(":")[0], torch.bfloat16) if autocast else nullcontext()
        ):
            logits = network(pixels)
        scores: NDArray[np.float32] = card.probabilities(logits).cpu().numpy()
        return scores

    return answers


def _one_by_one(answers: Answers, ready: Sequence[torch.Tensor]) -> int:
    return sum(len(answers(batch)) for batch in ready)


def _own(
    runtime: Runtime, precision: tuple[str, Limit], card: ModelCard, options: Options
) -> Contestant:
    def work(ready: Sequence[torch.Tensor]) -> int:
        return run_through(runtime, enough(ready, runtime, number=sum(map(len, ready))))

    asked, limit = precision
    kind = resolve_precision(asked, card, device=options.device)
    return Contestant(runtime.probabilities, work, limit, kind if kind in PRODUCTS else "")


def open_precisions(
    checkpoint: Checkpoint, names: Iterable[str] = PRECISIONS, *, device: str, group: int
) -> tuple[dict[str, Runtime], dict[str, str]]:
    """Open the runtimes that `score` uses: name -> runtime, and name -> why it cannot run."""
    _, card = checkpoint.load()
    found: dict[str, Runtime] = {}
    absent: dict[str, str] = {}
    for name in names:
        try:
            found[name], _ = open_checkpoint(
                checkpoint.run,
                identity=checkpoint_hash(checkpoint.run),
                device=device,
                precision=resolve_precision(PRECISIONS[name][0], card, device=device),
                group=group,
            )
        except (Error, ImportError) as error:  # noqa: PERF203 - each has its own reason
            absent[name] = str(error)
    return found, absent


def enough(ready: Sequence[torch.Tensor], runtime: Runtime, *, number: int) -> list[torch.Tensor]:
    """Repeat batches to at least `number` images and a multiple of those computed at once.

    Otherwise a core idles at the end: five batches on two cores take as long as six.
    """
    at_once = runtime.at_once
    batches = -(-max(1, number // len(ready[0])) // at_once) * at_once
    return [ready[n % len(ready)] for n in range(batches)]


def whole_rounds(number: int, runtime: Runtime, *, group: int, images: int) -> int:
    """Round a number of images up to whole rounds of the batches that run at the same time.

    For `score`, which ends as `enough` says: of five batches on two cores, as 160 images are, it
    cannot reach more than 5/6 of what decoding and the network come to.

    Args:
        number: wanted.
        runtime: tells how many run at the same time.
        group: images per batch.
        images: how many there are; if they are less than a round, all of them are used.
    """
    in_a_round = group * runtime.at_once
    rounds = min(-(-number // in_a_round), images // in_a_round)
    return rounds * in_a_round or images


def run_through(runtime: Runtime, batches: Sequence[torch.Tensor]) -> int:
    """Run batches, as many in flight as the runtime allows; return the number of images."""
    in_flight: deque[Results] = deque()
    for batch in batches:
        if len(in_flight) >= runtime.in_flight:
            in_flight.popleft()()
        in_flight.append(runtime.submit(batch))
    for results in in_flight:
        results()
    return sum(map(len, batches))


def _product(kind: str) -> str:
    return f"matrix product, {kind}"


def _products_per_image(kind: str, gflop: float, device: str) -> float:
    """Images per second if each took only its FLOPs at the speed of a matrix product."""
    return best_product(kind, device) / gflop


def best_product(kind: str, device: str = "cpu", *, sides: tuple[int, ...] = _SIDES) -> float:
    """GFLOP/s of the fastest n x n matrix product (2 n^3 operations), n in `sides`."""

    def rate(side: int) -> float:
        matrix = torch.rand(side, side).to(device, PRODUCTS[kind])
        named = {"matrix": matrix, "out": torch.empty_like(matrix), "matmul": torch.matmul}
        timer = Timer(  # synchronizes a GPU
            "matmul(matrix, matrix, out=out)", globals=named, num_threads=torch.get_num_threads()
        )
        found = timer.blocked_autorange(min_run_time=_SECONDS)
        return float(2 * side**3 / found.median / 1e9)

    return max(map(rate, sides))


def gflop_per_image(network: nn.Module, *, size: int) -> float:
    """GFLOP per image; a multiply-add is two operations."""
    counter = FlopCounterMode(display=False)
    with torch.inference_mode(), counter:
        network.eval()(torch.zeros(1, 3, size, size))
    return float(counter.get_total_flops() / 1e9)
