"""The command `demo` as a function."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vocscore.api.checks import path, refuse_file_as_folder
from vocscore.api.jobs import pack, score, train
from vocscore.api.progress import opened
from vocscore.api.results import report
from vocscore.api.settings import settings, takes
from vocscore.config.demo import BACKBONE, LEARNING_RATE, SIZE, DemoConfig
from vocscore.config.groups import build

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable
    from pathlib import Path

    from typing_extensions import Unpack

    from vocscore.api.keywords import DemoKeywords
    from vocscore.api.progress import Progress
    from vocscore.config.option import Group

    PathLike = str | os.PathLike[str]


@takes(DemoConfig)
def demo(
    output: PathLike,
    *,
    options: Group | Iterable[Group] = (),
    progress: bool | Progress | None = None,
    **keywords: Unpack[DemoKeywords],
) -> Path:
    """Draw a small VOC dataset, then pack, train, score and report it, without any download.

    Args:
        output: folder for everything: VOCdrawn/, shards/, run/, predictions.csv, report.html.
        options: groups of options, which set all of their options; keywords take precedence.
        progress: True shows a bar, False none, None only if standard error is a terminal.
        **keywords: every option of the command.

    Returns:
        The folder.

    Raises:
        Error: a file exists already, and `overwrite` is not set, or `output` is not a folder.
    """
    from shards.synthetic.voc import draw_voc
    from vocscore.drawn_demo import make_room, spoil_one_image

    config = build(DemoConfig, settings(keywords, options, DemoConfig))
    out = path("output", output)
    refuse_file_as_folder("output", out)
    make_room(out, overwrite=config.overwrite)
    with opened("demo", progress) as shown:
        shown.stage("drawing")
        draw_voc(out / "VOCdrawn", images=config.images, seed=1)
    pack(out / "VOCdrawn", out / "shards", progress=progress)
    train(
        out / "shards",
        out / "run",
        backbone=BACKBONE,
        weights="none",
        tune="all",
        size=SIZE,
        learning_rate=LEARNING_RATE,
        epochs=config.epochs,
        progress=progress,
    )
    images = out / "VOCdrawn" / "JPEGImages"
    spoil_one_image(images)
    predictions = out / "predictions.csv"
    score(images, predictions, model=out / "run", progress=progress)
    report(predictions, out / "report.html", labels=out / "shards", progress=progress)
    return out
