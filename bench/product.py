"""The program under test: the one place through which bench packs, trains, scores and quantizes.

`python -m bench.product RUN SOURCE OUTPUT` scores a folder in a process of its own; with a fourth
word the process ends at its first rows.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import vocscore as vs
from vocscore.config.compute import DecodeConfig
from vocscore.config.training import ModelConfig, OptimizationConfig
from vocscore.machine import usable_cores

if TYPE_CHECKING:
    from collections.abc import Callable

    from vocscore.pipeline.batch import ImageLoader
    from vocscore.pipeline.preprocess import Preprocess


class _Rows:
    """Tells a function of each count of rows, and nobody of stages."""

    def __init__(self, tell: Callable[[int, int, int], None]) -> None:
        self._tell = tell

    def stage(self, name: str) -> None:
        """Nobody asks."""

    def listing(self, files: int) -> None:
        """Nobody asks."""

    def __call__(self, done: int, total: int, errors: int = 0) -> None:
        """Pass the rows on."""
        self._tell(done, total, errors)


def pack(
    source: Path,
    output: Path,
    *,
    labels: Path | None = None,
    verify: bool = True,
    resize: int | None = None,
) -> None:
    """Pack a VOC tree, or a folder with a CSV of labels; split by a ratio."""
    options = {"labels": labels, "verify": verify, "resize": resize}
    vs.pack(source, output, split="ratio", progress=False, **options)  # type: ignore[arg-type]


def train(
    shards: Path,
    output: Path,
    *,
    backbone: str,
    weights: str,
    tune: str = OptimizationConfig.tune,
    size: int = ModelConfig.size,
    epochs: int = OptimizationConfig.epochs,
    batch_size: int = OptimizationConfig.batch_size,
    precision: str = OptimizationConfig.precision,
    device: str = "cpu",
    on_epoch: Callable[[vs.EpochResult], None] | None = None,
) -> None:
    """Train on packed shards."""
    groups = (
        vs.ModelConfig(backbone=backbone, weights=weights, size=size),
        vs.OptimizationConfig(tune=tune, epochs=epochs, batch_size=batch_size, precision=precision),
    )
    vs.train(shards, output, options=groups, device=device, on_epoch=on_epoch, progress=False)


def score(
    source: Path,
    output: Path,
    *,
    model: Path,
    precision: str = "auto",
    batch_size: int = DecodeConfig.batch_size,
    device: str = "cpu",
    loader: str = "auto",
    progress: Callable[[int, int, int], None] | None = None,
) -> vs.ScoreReport:
    """Score a source into a file."""
    compute = vs.InferenceConfig(device=device, loader=loader, precision=precision)
    return vs.score(
        source,
        output,
        model=model,
        options=compute,
        batch_size=batch_size,
        ceilings=False,
        progress=False if progress is None else _Rows(progress),
    )


def quantize(
    run: Path, *, shards: Path, calibration_images: int, max_map_drop: float, max_changed: float
) -> None:
    """Put the int8 form beside a model's weights."""
    vs.quantize(
        run,
        shards=shards,
        calibration_images=calibration_images,
        max_map_drop=max_map_drop,
        max_changed=max_changed,
        progress=False,
    )


def own_loader(
    name: str,
    preprocess: Preprocess,
    *,
    batch_size: int = DecodeConfig.batch_size,
    device: str = "cpu",
) -> ImageLoader:
    """One of the program's loaders, with a thread per core."""
    from vocscore.pipeline.loaders import open_loader

    return open_loader(
        name,
        preprocess,
        batch_size=batch_size,
        device=device,
        threads=usable_cores(),
        max_pixels=DecodeConfig.max_pixels,
    )


def score_words(model: Path, source: Path, output: Path, *, first_batch: bool = False) -> list[str]:
    """The words of a process that scores; with `first_batch` it ends at its first rows."""
    words = [sys.executable, "-m", "bench.product", str(model), str(source), str(output)]
    return [*words, "first"] if first_batch else words


def _leave(done: int, _total: int, _errors: int) -> None:
    if done:
        os._exit(0)  # at once: cleaning up is not part of the start


if __name__ == "__main__":
    _run, _source, _output, *_first = sys.argv[1:]
    score(Path(_source), Path(_output), model=Path(_run), progress=_leave if _first else None)
    if _first:
        sys.exit("scoring ended without reporting a row")
