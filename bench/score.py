"""`vocscore score` from folder to CSV, beside the ceilings of this machine and the usual loop."""

from __future__ import annotations

import csv
import itertools
import json
import shutil
from contextlib import ExitStack, closing
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch

from bench.agreement import Compared, Limit, compare
from bench.commands import vocscore
from bench.outcome import Outcome
from bench.peers.dataloader import open_usual
from bench.peers.loops import RAY, TIMM, USUAL
from bench.peers.scoring import Peers, Scorer, open_peers
from bench.peers.task import Task
from bench.runtimes import PRECISIONS, enough, groups, open_precisions, run_through
from bench.timing import Timed, interleave
from vocscore.config import ScoreConfig
from vocscore.machine import usable_cores
from vocscore.pipeline.host import HostLoader

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from bench.images import Images
    from bench.subjects import Subject
    from bench.timing import Rate

DECODE = "decode ceiling"
USUAL_BATCH = 32
IMAGES = 640
"""Of the contest; the slower a contestant, the fewer it gets: rates are what is compared."""
_FEWER = {"usual": 8, "float32": 4}
_QUICKER = {"alexnet": 2}
"""Divides the images of others' loops in place of 8: or filling their pipelines would count."""
_RAY_WITH = "resnet18"
"""Each turn of Ray Data starts its actor anew, for seconds: once is enough."""
_COMPARED = 96
OTHER_PIXELS = Limit(0.1, 0.01)
"""The usual loop resizes with Pillow: pixels differ by a gray level, and with SqueezeNet's ImageNet
weights a probability by up to 0.05."""


class Contest:
    """One backbone, one folder of images.

    Args:
        subject: the checkpoint.
        images: what is scored.
        scratch: for outputs and smaller folders; made here.
    """

    def __init__(self, subject: Subject, images: Images, scratch: Path) -> None:
        """Load what the contestants need."""
        scratch.mkdir()
        self._scratch = scratch
        self._subject = subject
        self._images = images
        self._outputs = (scratch / f"{number}.csv" for number in itertools.count())
        network, self._card = subject.load()
        self._network = network.eval()
        self._runtimes, missing = open_precisions(subject, only_scored=True)
        self.absent = {ours(name): reason for name, reason in missing.items()}
        self.loader = HostLoader(
            self._card.preprocess,
            batch_size=ScoreConfig.batch_size,
            threads=usable_cores(),
            max_pixels=ScoreConfig.max_pixels,
        )
        self.refs = images.refs
        self._ready = [
            group
            for batch in self.loader.batches(self.refs[: self._fewer("float32")])
            for group in groups(batch.images)
        ]

    def work(self) -> dict[str, Callable[[], int | Timed]]:
        """Every contestant, and every ceiling."""
        work: dict[str, Callable[[], int | Timed]] = {
            DECODE: lambda: sum(len(batch.rows) for batch in self.loader.batches(self.refs)),
        }
        for name, runtime in self._runtimes.items():
            if ours(name) in self.absent:
                continue
            ready = enough(self._ready, runtime, images=self._fewer(name))
            work[ceiling(name)] = partial(run_through, runtime, ready)
            work[ours(name)] = partial(self._timed, name, self._folder(self._fewer(name)))
        return work

    def peers(self, stack: ExitStack) -> Peers:
        """Others' loops, opened; the usual one is the first."""
        backbone = self._subject.backbone
        share = _QUICKER.get(backbone, _FEWER["usual"])
        return open_peers(
            self._task(max(USUAL_BATCH, len(self.refs) // share)),
            Scorer(self._network, self._card),
            stack,
            names=(TIMM, RAY) if backbone == _RAY_WITH else (TIMM,),
        )

    def _fewer(self, contestant: str) -> int:
        whole = len(self._images.refs)
        return max(min(whole, ScoreConfig.batch_size), whole // _FEWER.get(contestant, 1))

    def _folder(self, images: int) -> Path:
        """The first so many, in a folder of their own where they are not all."""
        if images == len(self.refs):
            return self._images.folder
        folder = self._scratch / f"first-{images}"
        if not folder.exists():
            folder.mkdir()
            for ref in self.refs[:images]:
                shutil.copy(ref.file, folder)
        return folder

    def score(self, name: str, folder: Path) -> tuple[Path, Timed]:
        """Run the command; its own clock leaves listing and loading out, which 'start' measures."""
        output = next(self._outputs)
        summary = output.with_suffix(".json")
        words = [folder, "-m", self._subject.run, "-o", output, "--device", "cpu", "--quiet"]
        vocscore("score", *words, "--no-ceilings", "--json", summary, *PRECISIONS[name].words)
        report = json.loads(summary.read_text())
        return output, Timed(report["pictures"], report["seconds"])

    def _timed(self, name: str, folder: Path) -> Timed:
        return self.score(name, folder)[1]

    @torch.inference_mode()
    def usual(self, images: int) -> NDArray[np.float32]:
        """The loop that most people write: DataLoader, PIL, eager float32."""
        with closing(open_usual(self._task(images))) as loader:
            parts = [
                self._card.probabilities(self._network(ready.images)) for ready in loader.batches()
            ]
        return torch.cat(parts).numpy()

    def _task(self, images: int) -> Task:
        """The first so many, for a loop of others."""
        return Task(
            images=self.refs[:images],
            preprocess=self._card.preprocess,
            batch=USUAL_BATCH,
            workers=usable_cores(),
            scratch=self._scratch,
        )

    def prove_equal(self) -> Compared:
        """Compare everyone with eager float32 on the pixels that `score` decodes.

        Raises:
            ValueError: the usual loop, or `score` as it is by default, does other work.
        """
        few = min(_COMPARED, len(self.refs))
        names = [ref.name for ref in self.refs[:few]]
        answers, limits = {USUAL: self.usual(few)}, {USUAL: OTHER_PIXELS}
        for name in self._runtimes:
            answers[ours(name)] = read_probabilities(self.score(name, self._folder(few))[0], names)
            limits[ours(name)] = PRECISIONS[name].limit
        threshold = self._card.decision_threshold
        compared = compare(self._plain(few), answers, limits=limits, threshold=threshold)
        for name in (USUAL, ours("default")):
            if name in compared.refused:
                raise ValueError(f"{name} {compared.refused[name]}")
        self.absent |= compared.refused
        return compared

    def _plain(self, images: int) -> NDArray[np.float32]:
        """Eager float32 on the host loader's pixels."""
        scorer = Scorer(self._network, self._card)
        parts = []
        for batch in self.loader.batches(self.refs[:images]):
            with torch.inference_mode():  # not around the loader: its threads write to its tensors
                parts.append(scorer(self._card.preprocess.normalize(batch.images)))
        return torch.cat(parts).numpy()


def read_probabilities(file: Path, names: list[str]) -> NDArray[np.float32]:
    """The probabilities of a CSV that `score` wrote.

    Args:
        file: with the columns path, status, error, one a class, labels.
        names: the rows that it has to hold, in this order.

    Returns:
        Shape (rows, classes).

    Raises:
        ValueError: other rows, or one that failed.
    """
    with file.open(newline="") as opened:
        rows = list(csv.reader(opened))[1:]
    if [row[0] for row in rows] != names or any(row[1] != "ok" for row in rows):
        raise ValueError(f"{file}: not one good row for each of {len(names)} images")
    return np.array([row[3:-1] for row in rows], np.float32)


def ours(name: str) -> str:
    """The contestant of a precision."""
    return f"vocscore score, {name}"


def ceiling(name: str) -> str:
    """The ceiling of its network."""
    return f"model ceiling, {name}"


def binding(name: str, rates: Mapping[str, Rate]) -> str:
    """The wall of a precision: the slower of decoding and its network, each alone."""
    return min(DECODE, ceiling(name), key=lambda wall: rates[wall].median)


def compare_scoring(subject: Subject, images: Images, scratch: Path, *, repeats: int) -> Outcome:
    """Rates of the ceilings, of `score` in every precision, and of the usual loop.

    Args:
        subject: the checkpoint.
        images: that are scored.
        scratch: a folder to make.
        repeats: counted rounds.
    """
    contest = Contest(subject, images, scratch)
    with contest.loader, ExitStack() as stack:
        found = contest.prove_equal().found
        peers = contest.peers(stack)
        rates = interleave({**peers.work, **contest.work()}, repeats=repeats)
    names = [name for name in PRECISIONS if ours(name) in rates]
    walls = {ours(name): binding(name, rates) for name in names}
    both = {name: _one_after_the_other(name, rates) for name in names}
    return Outcome(
        contest="score",
        title=f"score, {subject.backbone}: folder to CSV on the CPU",
        rates=rates,
        baseline=USUAL,
        walls=walls,
        absent={
            **contest.absent,
            **peers.absent,
        },
        key={"backbone": subject.backbone},
        facts={
            "weights": subject.weights,
            "agreement": {name: one.to_json() for name, one in found.items()},
            "decode_and_model_one_after_the_other": both,
            "peers_from_the_usual_loop": dict(peers.differences),
        },
        lines=(
            f"{subject.weights}; compared with eager float32 on the pixels that score sees:",
            *(f"  {name}: {one}" for name, one in found.items()),
            *(
                f"  {ours(name)}: {rates[ours(name)].median / rate:.0%} of what decoding and the "
                f"network come to on the same cores ({rate:.1f} images/s)"
                for name, rate in both.items()
            ),
        ),
    )


def _one_after_the_other(name: str, rates: Mapping[str, Rate]) -> float:
    """Images per second where both stages take their turns with all the cores."""
    return 1 / (1 / rates[DECODE].median + 1 / rates[ceiling(name)].median)
