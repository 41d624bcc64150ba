"""The program under test: the one place where bench packs, trains, scores and opens loaders.

`python -m bench.product RUN SOURCE OUTPUT` scores a folder in a process of its own; a fourth word
is its number of decoding threads, or 'first': the process ends at its first rows.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import vocscore as vs
from bench.timing import Timed
from vocscore.config.compute import DecodeConfig
from vocscore.machine import usable_cores

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from vocscore.api.progress import Progress
    from vocscore.config.optimization import OptimizationConfig
    from vocscore.pipeline.batch import ImageLoader
    from vocscore.pipeline.preprocess import Preprocess
    from vocscore.scoring.formats.choice import RowsFormat
    from vocscore.scoring.output.rows import Rows
    from vocscore.training.features import Decoding


def pack(source: Path, output: Path, **options: Any) -> None:
    """Pack a VOC tree, or a folder with a CSV of labels; split by a ratio."""
    vs.pack(source, output, split="ratio", progress=False, **options)


def pack_images(folder: Path, output: Path, *, classes: int = 1, **options: Any) -> None:
    """Pack a folder of images into 'train', image n with the label n modulo `classes`."""
    labels = output.with_suffix(".csv")
    rows = (f"{file.name},class{n % classes}\n" for n, file in enumerate(sorted(folder.iterdir())))
    labels.write_text("path,labels\n" + "".join(rows), encoding="utf-8")
    pack(folder, output, labels=labels, **{"train_fraction": 1.0, **options})


def train(shards: Path, output: Path, *, device: str = "cpu", **options: Any) -> None:
    """Train on packed shards."""
    vs.train(shards, output, device=device, progress=False, **options)


def score(
    source: Path | str,
    output: Path,
    *,
    model: Path,
    device: str = "cpu",
    progress: bool | Progress = False,
    **options: Any,
) -> vs.ScoreReport:
    """Score a source into a file, without measuring ceilings."""
    settings = {"device": device, "ceilings": False, **options}
    return vs.score(source, output, model=model, progress=progress, **settings)


def timed_score(source: Path | str, output: Path, *, images: int, **options: Any) -> Timed:
    """Score by the report's clock, which excludes listing and loading: 'start' measures them.

    Raises:
        ValueError: there is an error, or another number of rows than `images`.
    """
    report = score(source, output, **options)
    if report.errors or report.images != images:
        raise ValueError(f"{source}: {report.images} rows for {images}, {report.errors} errors")
    return Timed(report.images, report.seconds)


def rows_format(file: Path, classes: Sequence[str]) -> RowsFormat:
    """The format in which `score` writes a file."""
    from vocscore.scoring.formats.choice import choose
    from vocscore.scoring.formats.selection import EVERYTHING

    choice = choose(file, folder_format=None)
    return choice.open(classes, 0.5, selection=EVERYTHING, origin={}, activation="sigmoid")


def write_rows(file: Path, classes: Sequence[str], units: Iterable[Rows]) -> Path:
    """Write the rows of units to a file, in parts that are joined, as `score` does."""
    form, parts = rows_format(file, classes), []
    for number, rows in enumerate(units):
        parts.append(file.with_name(f"{file.name}-{number}"))
        with parts[-1].open("wb") as part:
            form.write(part, rows)
    with file.open("wb") as whole:
        form.merge(whole, parts)
    return file


def own_loader(
    name: str,
    preprocess: Preprocess,
    *,
    batch_size: int = DecodeConfig.batch_size,
    device: str = "cpu",
    threads: int | None = None,
) -> ImageLoader:
    """One of the program's loaders; by default with a thread per core."""
    from vocscore.pipeline.loaders import open_loader

    return open_loader(
        name,
        preprocess,
        batch_size=batch_size,
        device=device,
        threads=threads or usable_cores(),
        max_pixels=DecodeConfig.max_pixels,
    )


def own_decoding(preprocess: Preprocess, choice: OptimizationConfig) -> Decoding:
    """What `train` decodes with, on the CPU."""
    from vocscore.device import CPU
    from vocscore.ranks import ALONE
    from vocscore.training.setup import open_decoding

    return open_decoding(
        "host",
        preprocess,
        choice=choice,
        device=CPU,
        threads=usable_cores(),
        max_pixels=DecodeConfig.max_pixels,
        ranks=ALONE,
        on_images=lambda _more: None,
    )


def score_words(model: Path, source: Path, output: Path, *how: str | int) -> list[str]:
    """The command of a process that scores; `how` is the fourth word, if any."""
    return [sys.executable, "-m", "bench.product", *map(str, (model, source, output, *how))]


class _LeaveAtFirstRows:
    """A progress that ends the process when the first rows are done."""

    def stage(self, name: str) -> None: ...

    def listing(self, files: int) -> None: ...

    def __call__(self, done: int, total: int, errors: int = 0) -> None:  # noqa: ARG002 - the protocol's
        if done:
            os._exit(0)  # at once: cleaning up is not part of the start


if __name__ == "__main__":
    _run, _source, _output = map(Path, sys.argv[1:4])
    _how = "".join(sys.argv[4:])
    score(
        _source,
        _output,
        model=_run,
        progress=_LeaveAtFirstRows() if _how == "first" else False,
        workers=int(_how) if _how.isdecimal() else None,
    )
    if _how == "first":
        sys.exit("scoring ended without reporting a row")
