"""`vocscore demo`: all steps on images that it draws itself."""

from __future__ import annotations

import shlex
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import click

from vocscore.cli import paths
from vocscore.cli.common import progress
from vocscore.cli.help import PanelCommand
from vocscore.cli.options import config_options, panel_option
from vocscore.cli.shown_commands import vocscore_command
from vocscore.cli.typed_options import echo
from vocscore.config.demo import BACKBONE, LEARNING_RATE, SIZE, DemoConfig
from vocscore.config.groups import build

if TYPE_CHECKING:
    from pathlib import Path


@click.command(cls=PanelCommand)
@panel_option(
    "-o",
    "--output",
    "out",
    panel=DemoConfig.title,
    required=True,
    metavar="DIR",
    type=paths.new_folder("all files of the demo"),
    help="Folder for all files of the demo.",
)
@config_options(DemoConfig)
def demo(out: Path, **settings: Any) -> None:
    """Draw a small VOC set, then pack, train, score, evaluate and report it.

    Needs no download: the images are drawn, and the network starts from random weights. Takes a
    few minutes on two cores. Each command is printed as you would type it.
    """
    from shards.synthetic.voc import draw_voc
    from vocscore.drawn_demo import make_room, spoil_one_image

    config = build(DemoConfig, settings)
    make_room(out, overwrite=config.overwrite)
    voc = out / "VOCdrawn"
    echo(f"drawing {config.images} images of 20 classes in {voc}")
    with progress("demo", quiet=False) as shown:
        shown.stage("drawing")
        draw_voc(voc, images=config.images, seed=1)
    shards, run, predictions = out / "shards", out / "run", out / "predictions.csv"
    _show(["pack", voc, "-o", shards])
    _show(["train", shards, "-o", run, *_from_nothing(), "--epochs", config.epochs])
    bad = spoil_one_image(voc / "JPEGImages")
    echo(f"\n(a truncated image was added to the folder: {bad.name})")
    _show(["score", voc / "JPEGImages", "-m", run, "-o", predictions])
    _show(["eval", predictions, shards, "--json", out / "eval.json"])
    _show(["report", predictions, "--labels", shards, "-o", out / "report.html"])
    echo(f"\npredictions: {predictions}\nmetrics:     {out / 'eval.json'}")
    echo(f"report:      {out / 'report.html'}")
    if (run / "curves.png").exists():  # missing if matplotlib is not installed
        echo(f"curves:      {run / 'curves.png'}")
    echo(f"page:        {vocscore_command('view', predictions, '--labels', shards)}")
    if find_spec("nicegui") is None:
        echo("             (needs NiceGUI: pip install 'vocscore[view]')")


def _from_nothing() -> list[object]:
    """Return the options that train a small network without pretrained weights."""
    start = ["--backbone", BACKBONE, "--weights", "none", "--tune", "all"]
    return [*start, "--size", SIZE, "--learning-rate", LEARNING_RATE]


def _show(words: list[object]) -> None:
    """Print a command as the user would type it, and run it."""
    from vocscore.cli.main import PART_OF_ANOTHER, main

    arguments = [str(word) for word in words]
    echo(f"\n$ vocscore {shlex.join(arguments)}")
    code = main.main(arguments, prog_name="vocscore", standalone_mode=False, obj=PART_OF_ANOTHER)
    if code:  # interrupted: the next command would lack its input
        raise click.exceptions.Exit(code)
