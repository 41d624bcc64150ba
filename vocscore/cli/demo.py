"""`vocscore demo`: the whole job on images that it draws itself."""

from __future__ import annotations

import shlex
import shutil
from typing import TYPE_CHECKING

import click

from vocscore.cli import paths
from vocscore.cli.common import KnownError, progress
from vocscore.config import DemoConfig

if TYPE_CHECKING:
    from pathlib import Path

OWN_FOLDERS = ("VOCdrawn", "shards", "run")
OWN_FILES = ("predictions.csv", "predictions.csv.json", "eval.json")


@click.command()
@click.option(
    "-o",
    "--output",
    "out",
    required=True,
    metavar="DIR",
    type=paths.new_folder("everything the demo makes"),
    help="Folder for everything the demo makes.",
)
@click.option(
    "--images",
    type=click.IntRange(min=60),
    default=DemoConfig.images,
    show_default=True,
    help="Images to draw.",
)
@click.option("--epochs", type=click.IntRange(min=1), default=DemoConfig.epochs, show_default=True)
@click.option("--overwrite", is_flag=True, help="Replace what an earlier demo left in DIR.")
def demo(out: Path, *, images: int, epochs: int, overwrite: bool) -> None:
    """Draw a small VOC set, then pack, train, score and evaluate it.

    Needs no download: the images are drawn, and the network learns from nothing. Takes a few
    minutes on two cores. Every command is shown as you would type it.
    """
    from shards.synthetic.voc import draw_voc

    _make_room(out, overwrite=overwrite)
    voc = out / "VOCdrawn"
    click.echo(f"drawing {images} images of 20 classes in {voc}")
    with progress("demo", quiet=False) as shown:
        shown.stage("drawing")
        draw_voc(voc, images=images, seed=1)
    shards, run, predictions = out / "shards", out / "run", out / "predictions.csv"
    _show(["pack", voc, "-o", shards])
    _show(["train", shards, "-o", run, *_from_nothing(), "--epochs", epochs])
    _spoil_one_image(voc / "JPEGImages")
    _show(["score", voc / "JPEGImages", "-m", run, "-o", predictions])
    _show(["eval", predictions, shards, "--json", out / "eval.json"])
    click.echo(f"\npredictions: {predictions}\nmetrics:     {out / 'eval.json'}")
    if (run / "curves.png").exists():  # not where matplotlib is missing
        click.echo(f"curves:      {run / 'curves.png'}")


def _from_nothing() -> list[object]:
    """The options that train a small network without pretrained weights."""
    config = DemoConfig()
    start = ["--backbone", config.backbone, "--weights", "none", "--tune", "all"]
    return [*start, "--size", config.size, "--learning-rate", config.learning_rate]


def _make_room(out: Path, *, overwrite: bool) -> None:
    """Remove what an earlier demo made, and nothing else."""
    old = [out / name for name in (*OWN_FOLDERS, *OWN_FILES)]
    found = [path for path in old if path.exists()]
    if found and not overwrite:
        raise KnownError(f"{found[0]} is there already: add --overwrite or name another folder.")
    for path in found:
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def _spoil_one_image(folder: Path) -> None:
    """Add an image that was cut short, as real folders hold them."""
    whole = min(folder.glob("*.jpg")).read_bytes()
    bad = folder / "cut_short.jpg"
    bad.write_bytes(whole[: len(whole) // 2])
    click.echo(f"\n(an image cut short is put into the folder: {bad.name})")


def _show(words: list[object]) -> None:
    """Print a command as a person would type it, and run it."""
    from vocscore.cli.main import PART_OF_ANOTHER, main

    arguments = [str(word) for word in words]
    click.echo(f"\n$ vocscore {shlex.join(arguments)}")
    code = main.main(arguments, prog_name="vocscore", standalone_mode=False, obj=PART_OF_ANOTHER)
    if code:  # interrupted: what follows has nothing to go on from
        raise click.exceptions.Exit(code)
