"""Scoring from folder to CSV, beside this machine's ceilings and other projects' loops."""

from __future__ import annotations

import csv
import itertools
from contextlib import ExitStack
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch

from bench import product
from bench.agreement import Agreement, Limit, compare
from bench.images import linked
from bench.models import PRECISIONS, enough, open_precisions, run_through, whole_rounds
from bench.outcome import Outcome
from bench.peers.loops import DALI, RAY, TIMM, USUAL, Scorer, open_peers, usual_probabilities
from bench.peers.task import Task
from bench.timing import Timed, consume, interleave
from vocscore.config.compute import DecodeConfig
from vocscore.machine import usable_cores

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from bench.contests import Options
    from bench.peers.loops import Loop
    from bench.timing import Rate
    from vocscore.pipeline.batch import ImageLoader
    from vocscore.runtime import Runtime

DECODE = "decode ceiling"
SCORED = ("default", "float32", "int8")
IMAGES, USUAL_BATCH = 640, 32
_FEWER = {"usual": 8, "usual alexnet": 2, "float32": 2}
"""Divides the number of images of slow contestants, as rates are compared. Less for AlexNet, where
filling the peers' pipelines would otherwise matter."""
_RAY_WITH = "resnet18"
"""The only backbone for Ray Data, whose every turn takes seconds to start its actor."""
_COMPARED = 96
_READY_GROUPS = 4
"""Decoded groups that the networks' ceilings are measured on, in turn."""
OTHER_PIXELS = Limit(0.1, 0.01)
"""The usual loop resizes with Pillow: pixels differ by a gray level, and with SqueezeNet's ImageNet
weights probabilities by up to 0.05."""
LEAST_SPREAD = 0.001
"""Probabilities that vary less do not show that contestants agree."""


class ScoreContest:
    """One network, one folder of images, and a runtime for some of the `PRECISIONS`."""

    def __init__(self, options: Options, backbone: str, *, names: Sequence[str] = SCORED) -> None:
        self.options, self.images = options, options.image_set(IMAGES)
        self.checkpoint = options.checkpoint(backbone)
        self.scratch = options.scratch / f"score-{backbone}"  # for outputs and subsets
        self.scratch.mkdir(parents=True)
        network, self.card = self.checkpoint.load()
        self.scorer = Scorer(network.eval(), self.card)
        self.runtimes, missing = open_precisions(
            self.checkpoint, names, device=options.device, group=options.group
        )
        self.absent = {ours(name): reason for name, reason in missing.items()}
        self._outputs = itertools.count()

    def loader(self, device: str) -> ImageLoader:
        """The loader that `score` uses on a device."""
        preprocess, batch_size = self.card.preprocess, self.options.batch_size
        return product.own_loader("auto", preprocess, batch_size=batch_size, device=device)

    def work(self, loader: ImageLoader) -> dict[str, Callable[[], int | Timed]]:
        """Name -> one turn, of our own contestants and the ceilings."""
        refs, group = self.images.refs, self.options.group
        few = loader.batches(refs[: _READY_GROUPS * group])
        ready = [part for batch in few for part in torch.split(batch.images, group)]
        work: dict[str, Callable[[], int | Timed]] = {
            DECODE: partial(consume, loader, refs, device=self.options.device)
        }
        for name, runtime in self.runtimes.items():
            if ours(name) not in self.absent:
                number = self._number(name, runtime)
                some = enough(ready, runtime, number=number)
                work[ceiling(name)] = partial(run_through, runtime, some)
                work[ours(name)] = partial(self.score, name, self._folder(number), number)
        return work

    def _number(self, name: str, runtime: Runtime) -> int:
        """Images of a turn."""
        images = len(self.images.refs)
        wanted = max(DecodeConfig.batch_size, images // _FEWER.get(name, 1))
        return whole_rounds(wanted, runtime, group=self.options.group, images=images)

    def _folder(self, number: int) -> Path:
        """A folder with the first `number` images, under the same names."""
        refs, folder = self.images.refs, self.scratch / f"first-{number}"
        if number == len(refs):
            return self.images.folder
        return folder if folder.exists() else linked(folder, refs[:number])

    def score(self, name: str, source: Path, number: int, *, output: Path | None = None) -> Timed:
        """Score `number` images once in a precision, by default into a new file."""
        return product.timed_score(
            source,
            output or self.scratch / f"{next(self._outputs)}.csv",
            images=number,
            model=self.checkpoint.run,
            precision=PRECISIONS[name][0],
            batch_size=self.options.batch_size,
            device=self.options.device,
        )

    def others_task(self, number: int | None = None) -> Task:
        """The task of the peers: the first `number` images, by default those of a turn."""
        refs = self.images.refs
        share = _FEWER.get(f"usual {self.checkpoint.backbone}", _FEWER["usual"])
        return Task(
            refs=refs[: number or max(USUAL_BATCH, len(refs) // share)],
            preprocess=self.card.preprocess,
            batch=USUAL_BATCH,
            workers=usable_cores(),
            scratch=self.scratch,
        )

    def prove_equal(self) -> dict[str, Agreement]:
        """Compare all with eager float32 on the pixels that `score` decodes.

        The usual loop, and `score` as it is by default, must agree; others are absent otherwise.
        """
        refs = self.images.refs[:_COMPARED]
        folder, names = self._folder(len(refs)), [ref.name for ref in refs]
        answers = {USUAL: usual_probabilities(self.others_task(len(refs)), self.scorer)}
        limits = {USUAL: OTHER_PIXELS}
        for name in self.runtimes:
            output = self.scratch / f"{name}.csv"
            self.score(name, folder, len(refs), output=output)
            answers[ours(name)] = read_probabilities(output, names)
            _, limits[ours(name)] = PRECISIONS[name]
        threshold = self.card.decision_threshold
        found, refused = compare(
            self._truth(len(refs)), answers, limits=limits, threshold=threshold
        )
        for name in (USUAL, ours("default")):
            if name in refused:
                raise ValueError(f"{name} {refused[name]}")
        if found[USUAL].spread < LEAST_SPREAD:
            raise ValueError(f"all images have about the same probabilities: {found[USUAL]}")
        self.absent |= refused
        return found

    def _truth(self, number: int) -> NDArray[np.float32]:
        """Eager float32 on the CPU, on the pixels of the loader that `score` uses on the device."""
        parts = []
        with self.loader(self.options.device) as loader:
            for batch in loader.batches(self.images.refs[:number]):
                images = batch.images.cpu()
                with torch.inference_mode():  # not around it: its threads write to its tensors
                    parts.append(self.scorer(self.card.preprocess.normalize(images)))
        return torch.cat(parts).numpy()


def read_probabilities(file: Path, names: list[str]) -> NDArray[np.float32]:
    """The probabilities (N, C) of a CSV with the columns path, status, error, classes, labels.

    Raises:
        ValueError: the rows are not `names` in this order, or one is an error.
    """
    with file.open(newline="") as opened:
        rows = list(csv.reader(opened))[1:]
    if [row[0] for row in rows] != names or any(row[1] != "ok" for row in rows):
        raise ValueError(f"{file}: not one good row for each of {len(names)} images")
    return np.array([row[3:-1] for row in rows], np.float32)


def ours(name: str) -> str:
    """Name of the contestant of a precision."""
    return f"vocscore score, {name}"


def ceiling(name: str) -> str:
    """Name of the ceiling of its network."""
    return f"model ceiling, {name}"


def bottleneck(name: str, rates: Mapping[str, Rate]) -> str:
    """The slower of decoding and the network, each alone."""
    return min(DECODE, ceiling(name), key=lambda stage: rates[stage].median)


def run(options: Options) -> Iterator[Outcome]:
    """An outcome per backbone."""
    for backbone in options.backbones:
        yield compare_scoring(ScoreContest(options, backbone))


def compare_scoring(contest: ScoreContest) -> Outcome:
    """Rates of the ceilings, of `score` in every precision, and of others' loops."""
    checkpoint, images, options = contest.checkpoint, contest.images, contest.options
    others = (TIMM, RAY) if checkpoint.backbone == _RAY_WITH else (TIMM,)
    others = (DALI,) if options.on_gpu else others
    found, device = contest.prove_equal(), options.device
    with ExitStack() as stack, contest.loader(device) as loader:
        scorer = contest.scorer.to(device)
        peers = open_peers(contest.others_task(), scorer, stack, names=others, device=device)
        theirs = {name: partial(_turn, loop) for name, loop in peers.opened.items()}
        rates = interleave({**theirs, **contest.work(loader)}, repeats=options.repeats)
    names = [name for name in PRECISIONS if ours(name) in rates]
    both = {name: _one_after_the_other(name, rates) for name in names}
    return Outcome(
        contest="score",
        title=f"score, {checkpoint.backbone}: folder to CSV on {options.where}",
        rates=rates,
        peers=tuple(theirs),
        ceilings={ours(name): bottleneck(name, rates) for name in names},
        absent={**contest.absent, **peers.absent},
        key={**images.key, "backbone": checkpoint.backbone},
        facts={
            **images.facts,
            "weights": checkpoint.weights,
            "agreement": {name: asdict(one) for name, one in found.items()},
            "decode_and_model_one_after_the_other": both,
            "peers_from_the_usual_loop": peers.differences,
        },
        lines=(
            f"{checkpoint.weights}; compared with eager float32 on the pixels that score sees:",
            *(f"  {name}: {one}" for name, one in found.items()),
            *(
                f"  {ours(name)}: {rates[ours(name)].median / rate:.0%} of what decoding and the "
                f"network reach together on the same cores ({rate:.1f} images/s)"
                for name, rate in both.items()
            ),
        ),
    )


def _turn(loop: Loop) -> Timed:
    return loop.run()[1]


def _one_after_the_other(name: str, rates: Mapping[str, Rate]) -> float:
    """Images per second if both stages take turns on all cores."""
    return 1 / (1 / rates[DECODE].median + 1 / rates[ceiling(name)].median)
