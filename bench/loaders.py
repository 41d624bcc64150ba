"""From files to normalized batches on the CPU, beside what a user would otherwise pick."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from bench.outcome import Outcome
from bench.peers.agreement import gray_levels, mean_difference, turn
from bench.peers.dali_graph import open_dali
from bench.peers.dataloader import open_usual, open_v2
from bench.peers.opencv import open_opencv
from bench.peers.ours import open_dali_loader, open_host
from bench.peers.spdl_pipeline import open_spdl
from bench.peers.task import Task, open_or_say
from bench.peers.timm_loader import open_timm
from bench.peers.webdataset_tars import open_webdataset
from bench.timing import interleave
from vocscore.machine import usable_cores
from vocscore.pipeline.preprocess import Preprocess

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import torch

    from bench.peers.task import Loader
    from bench.timing import Rate
    from shards.sample import ImageRef

IMAGES = {"voc": 512, "large": 32, "thumbnails": 1024, "png": 128}
"""Of a turn: so many of a kind that it lasts a second or more."""
BATCH = 32
BATCHES_A_WORKER = 4
"""At least; of few images, batches are smaller, or some workers would have nothing to do."""
LARGEST_MEAN_DIFFERENCE = 1.5
"""Gray levels, mean over all images, to the usual loader.

Resizers that smooth differ by 0 to 0.3 (rounding) where chroma is upsampled as libjpeg does, and by
1.1 where it is not (FFmpeg, OpenCV's box filter); one that does not smooth (OpenCV's INTER_LINEAR)
differs by 2.8 on VOC's photographs.
"""

USUAL = "DataLoader, PIL, torchvision v1"
HOST = "vocscore, host"
DALI_LOADER = "vocscore, DALI loader (CPU)"
OURS = (DALI_LOADER, HOST)
# In this order: processes are forked before other contestants start threads.
CONTESTANTS: dict[str, Callable[[Task], Loader]] = {
    USUAL: open_usual,
    "DataLoader, torchvision v2": open_v2,
    "DataLoader, OpenCV": open_opencv,
    "timm": open_timm,
    "webdataset": open_webdataset,
    "SPDL": open_spdl,
    "DALI, CPU graph": open_dali,
    DALI_LOADER: open_dali_loader,
    HOST: open_host,
}
NEVER = {
    "FFCV": (
        "no wheel, and pip's build stops at 'Could not find required package: opencv' (C++ headers "
        "of OpenCV and libturbojpeg); it reads its own .beton files, and its decoders crop"
    )
}


def compare_loaders(
    images: Sequence[ImageRef],
    *,
    repeats: int,
    contestants: Mapping[str, Callable[[Task], Loader]] = CONTESTANTS,
) -> Outcome:
    """Rates of all that can run here and whose pixels agree with the first contestant's.

    Args:
        images: loose files.
        repeats: counted rounds.
        contestants: name -> what opens it; the first is the baseline.

    Raises:
        ValueError: the baseline or vocscore's own is wrong: a defect, not an absent peer.
    """
    baseline, workers = next(iter(contestants)), usable_cores()
    with tempfile.TemporaryDirectory() as scratch, ExitStack() as closing:
        # upright=False: the usual loader does not turn images
        task = Task(
            images=images,
            preprocess=Preprocess(upright=False),
            batch=max(1, min(BATCH, len(images) // (BATCHES_A_WORKER * workers))),
            workers=workers,
            scratch=Path(scratch),
        )
        opened, absent, differences = _agreeing(task, contestants, closing)
        rates = interleave(
            {name: partial(turn, loader, task) for name, loader in opened.items()},
            repeats=repeats,
        )
    return Outcome(
        contest="loaders",
        title="loaders: files to normalized float32 batches of 256x256 on the CPU",
        rates=rates,
        baseline=baseline,
        absent={**absent, **NEVER},
        facts={
            "mean_differences": differences,
            "workers": task.workers,
            "batch": task.batch,
            "start_up": "not in the clock, for any",
        },
        lines=(_differences_line(differences), *_ratio_lines(rates)),
    )


def _agreeing(
    task: Task, contestants: Mapping[str, Callable[[Task], Loader]], closing: ExitStack
) -> tuple[dict[str, Loader], dict[str, str], dict[str, float]]:
    """Open each and compare its pixels; who cannot run or does other work is absent."""
    opened: dict[str, Loader] = {}
    absent: dict[str, str] = {}
    differences: dict[str, float] = {}
    truth = None
    for name, opener in contestants.items():
        loader = open_or_say(partial(opener, task))
        if isinstance(loader, str):
            absent[name] = loader
            continue
        closing.callback(loader.close)
        levels = _levels_or_say(loader, task, ours=truth is None or name in OURS)
        if isinstance(levels, str):
            absent[name] = levels
            continue
        truth = levels if truth is None else truth
        differences[name] = mean_difference(levels, truth)
        if refusal := _refusal(differences[name]):
            if name in OURS:
                raise ValueError(f"{name}: {refusal}")
            absent[name] = refusal
        else:
            opened[name] = loader
    return opened, absent, differences


def _levels_or_say(loader: Loader, task: Task, *, ours: bool) -> torch.Tensor | str:
    """What it makes of the images; where a peer fails, the reason in one line."""
    try:
        return gray_levels(loader, task)
    except Exception as error:
        # a peer that cannot read these images, in whatever way it says so, is absent
        if ours:
            raise
        first = str(error).strip().partition("\n")[0]
        return f"failed on these images: {type(error).__name__}: {first}"


def _refusal(difference: float) -> str:
    """Why so large a difference is not the same work; nothing where it is."""
    if difference <= LARGEST_MEAN_DIFFERENCE:
        return ""
    return (
        f"not the same work: {difference:.2f} gray levels from the baseline "
        f"(at most {LARGEST_MEAN_DIFFERENCE})"
    )


def _differences_line(differences: Mapping[str, float]) -> str:
    """How far each is from the baseline, for a person."""
    named = ", ".join(f"{name} {value:.2f}" for name, value in differences.items())
    return f"mean difference to the baseline, gray levels: {named}"


def _ratio_lines(rates: Mapping[str, Rate]) -> list[str]:
    """The host loader beside each of the families that it is meant to beat."""
    families = {
        "the usual loader": [USUAL],
        "the best DataLoader": [name for name in rates if name.startswith(("DataLoader", "timm"))],
        "webdataset": ["webdataset"],
        "DALI's own graph": ["DALI, CPU graph"],
        "SPDL": ["SPDL"],
    }
    lines = []
    for family, names in families.items():
        medians = [rates[name].median for name in names if name in rates]
        if medians and HOST in rates:
            lines.append(f"{HOST}: {rates[HOST].median / max(medians):.2f}x {family}")
    return lines
