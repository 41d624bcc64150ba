"""`vocscore score` from folder to CSV, beside the ceilings of this machine and the usual loop."""

from __future__ import annotations

import copy
import itertools
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from bench.loaders import BATCH, MAX_PIXELS, usual_loader
from bench.timing import Rate, interleave
from shards.classes import VOC_CLASSES
from vocscore.config import ScoreConfig
from vocscore.machine import usable_cores
from vocscore.models.checkpoint import ModelCard, load_checkpoint, save_checkpoint
from vocscore.models.network import build_network
from vocscore.pipeline.makers import open_maker
from vocscore.pipeline.preprocess import Preprocess
from vocscore.runtime import open_runtime
from vocscore.score.run import score

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from shards.sample import PictureRef

LARGEST_PROBABILITY_DIFFERENCE = 0.02


class Contest:
    """One backbone, one folder; every contestant scores every picture of it."""

    def __init__(self, backbone: str, pictures: Sequence[PictureRef], scratch: Path) -> None:
        """Build the network once, with random weights: speed does not depend on them."""
        torch.manual_seed(0)
        # upright=False: the usual loop does not turn pictures
        self.preprocess = Preprocess(upright=False)
        self.pictures = pictures
        self.folder = Path(pictures[0].file).parent
        self.run = scratch / f"run-{backbone}"
        network = build_network(
            backbone, classes=len(VOC_CLASSES), weights="none", size=self.preprocess.size
        )
        card = ModelCard(
            backbone=backbone,
            classes=VOC_CLASSES,
            preprocess=self.preprocess,
            threshold=0.5,
            weights="none",
        )
        save_checkpoint(self.run, network, card)
        self.network, self.card = load_checkpoint(self.run)
        self._usual_network = copy.deepcopy(self.network).eval()
        self.runtime = open_runtime(self.network, self.card, device="cpu")
        self.maker = open_maker(
            "host",
            self.preprocess,
            batch_size=ScoreConfig.batch_size,
            device="cpu",
            threads=usable_cores(),
            max_pixels=MAX_PIXELS,
        )
        self.ready = next(iter(self.maker.batches(pictures))).images
        self._outputs = (scratch / f"{backbone}-{n}.csv" for n in itertools.count())

    def decode(self) -> int:
        """The decode ceiling: batches made and thrown away."""
        return sum(len(batch.rows) for batch in self.maker.batches(self.pictures))

    def model(self) -> int:
        """The model ceiling: one ready batch again and again, as often as the folder has."""
        repeats = -(-len(self.pictures) // len(self.ready))
        return sum(len(self.runtime.probabilities(self.ready)) for _ in range(repeats))

    def end_to_end(self) -> int:
        """Folder to CSV, as the command does it."""
        report = score(
            self.folder,
            next(self._outputs),
            checkpoint=self.run,
            maker="auto",
            device="cpu",
            batch_size=ScoreConfig.batch_size,
            unit_size=ScoreConfig.unit_size,
            threads=usable_cores(),
            overwrite=False,
            max_pixels=MAX_PIXELS,
            progress=None,
        )
        return report.pictures

    @torch.inference_mode()
    def usual(self, pictures: Sequence[PictureRef]) -> NDArray[np.float32]:
        """The loop that most people write: DataLoader, PIL, eager float32."""
        network = self._usual_network
        loader = usual_loader(pictures, size=self.preprocess.size)
        parts = [network(self.preprocess.normalise(images)).sigmoid() for images in loader]
        return torch.cat(parts).numpy()

    def prove_equal(self) -> float:
        """Largest difference in probability between this path and the usual loop, one batch.

        Raises:
            ValueError: the contestants do not compute the same thing.
        """
        few = self.pictures[:BATCH]
        ours = self.runtime.probabilities(next(iter(self.maker.batches(few))).images)
        difference = float(np.abs(ours - self.usual(few)).max())
        if difference > LARGEST_PROBABILITY_DIFFERENCE:
            raise ValueError(f"probabilities differ by {difference:.3f} from the usual loop's")
        return difference


def compare_scoring(
    backbone: str, pictures: Sequence[PictureRef], *, repeats: int
) -> tuple[dict[str, Rate], float]:
    """Rates of the ceilings, of `score`, and of the usual loop; and the largest difference."""
    with tempfile.TemporaryDirectory() as scratch:
        contest = Contest(backbone, pictures, Path(scratch))
        difference = contest.prove_equal()
        rates = interleave(
            {
                "usual loop": lambda: len(contest.usual(pictures)),
                "decode ceiling": contest.decode,
                "model ceiling": contest.model,
                "score, folder to CSV": contest.end_to_end,
            },
            repeats=repeats,
        )
        contest.maker.close()
    return rates, difference
