"""The program under test: the one place through which bench packs, trains, scores and quantizes.

`python -m bench.product RUN SOURCE OUTPUT` scores a folder in a process of its own; with a fourth
word the process ends at its first rows.
"""

from __future__ import annotations

import os
import sys
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from shards.classes import choose_classes
from shards.packing.pack import pack as pack_shards
from shards.sources.table.read import read_table
from shards.sources.voc.read import read_voc
from shards.splitting.splits import split_by_ratio
from vocscore.config import PackConfig, QuantizeConfig, ScoreConfig, TrainConfig
from vocscore.machine import usable_cores

if TYPE_CHECKING:
    from collections.abc import Callable

    from vocscore.pipeline.batch import ImageLoader
    from vocscore.pipeline.preprocess import Preprocess
    from vocscore.scoring.run import ScoreReport
    from vocscore.training.history import EpochResult

Group = TypeVar("Group")


def pack(
    source: Path,
    output: Path,
    *,
    labels: Path | None = None,
    verify: bool = PackConfig.verify,
    resize: int | None = None,
) -> None:
    """Pack a VOC tree, or a folder with a CSV of labels; split by a ratio."""
    annotated = read_table(source, labels, label_separator=None) if labels else read_voc(source)
    classes = choose_classes(
        annotated.names(),
        None,
        annotated.classes,
        known=annotated.vocabulary,
        where=lambda name: f"{annotated.root}: {annotated.place(name)}",
    )
    splits = split_by_ratio(
        annotated, classes=classes, train_fraction=PackConfig.train_fraction, seed=PackConfig.seed
    )
    pack_shards(
        annotated,
        splits,
        output,
        classes=classes,
        shard_samples=PackConfig.shard_samples,
        verify=verify,
        max_bad=PackConfig.max_bad,
        max_pixels=PackConfig.max_pixels,
        resize=resize,
        quality=PackConfig.quality,
        workers=usable_cores(),
        overwrite=False,
        settings={"split": "ratio"},
    )


def train(
    shards: Path,
    output: Path,
    *,
    backbone: str,
    weights: str,
    tune: str = TrainConfig.tune,
    size: int = TrainConfig.size,
    epochs: int = TrainConfig.epochs,
    batch_size: int = TrainConfig.batch_size,
    precision: str = TrainConfig.precision,
    device: str = "cpu",
    on_epoch: Callable[[EpochResult], None] | None = None,
) -> None:
    """Train on packed shards, with the options of `vocscore train`."""
    from vocscore.pipeline.augment import Augmentation
    from vocscore.training import choices
    from vocscore.training.train import train as fit

    config = TrainConfig(
        backbone=backbone,
        weights=weights,
        tune=tune,
        size=size,
        epochs=epochs,
        batch_size=batch_size,
        precision=precision,
    )
    fit(
        shards,
        output,
        network=_group(choices.NetworkChoice, config),
        data=_group(choices.DataChoice, config),
        optimization=_group(choices.Optimization, config),
        loss=_group(choices.LossChoice, config),
        keeping=_group(choices.Keeping, config),
        augmentation=_group(Augmentation, config),
        seed=config.seed,
        loader="auto",
        device=device,
        threads=usable_cores(),
        overwrite=False,
        on_epoch=on_epoch,
    )


def _group(kind: type[Group], config: TrainConfig) -> Group:
    """The fields of one group of options."""
    return kind(**{one.name: getattr(config, one.name) for one in fields(kind)})  # type: ignore[arg-type]


def score(
    source: Path,
    output: Path,
    *,
    model: Path,
    precision: str = ScoreConfig.precision,
    batch_size: int = ScoreConfig.batch_size,
    device: str = "cpu",
    loader: str = "auto",
    progress: Callable[[int, int, int], None] | None = None,
) -> ScoreReport:
    """Score a source into a file, with the options of `vocscore score`."""
    from vocscore.scoring.run import score as run

    return run(
        source,
        output,
        checkpoint=model,
        loader=loader,
        device=device,
        precision=precision,
        batch_size=batch_size,
        unit_size=ScoreConfig.unit_size,
        threads=usable_cores(),
        overwrite=False,
        max_pixels=ScoreConfig.max_pixels,
        progress=progress,
    )


def quantize(
    run: Path, *, shards: Path, calibration_images: int, max_map_drop: float, max_changed: float
) -> None:
    """Put the int8 form beside a model's weights, with the options of `vocscore quantize`."""
    from vocscore.exporting.quantize import quantize

    quantize(
        run,
        shards,
        split=TrainConfig.val_split,
        calibration_images=calibration_images,
        max_map_drop=max_map_drop,
        max_changed=max_changed,
        max_pixels=QuantizeConfig.max_pixels,
    )


def own_loader(
    name: str,
    preprocess: Preprocess,
    *,
    batch_size: int = ScoreConfig.batch_size,
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
        max_pixels=ScoreConfig.max_pixels,
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
