"""`vocscore export`: a model for other programs, proved before it is kept."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import click

from vocscore.cli import paths
from vocscore.cli.common import progress, quiet_option
from vocscore.cli.trained_on import trained_on, validated_on
from vocscore.config import ExportConfig

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from shards.sample import ImageRef


@click.command()
@click.argument(
    "checkpoint",
    metavar="RUN",
    type=paths.RUN,
)
@click.option(
    "-o",
    "--output",
    "out",
    required=True,
    metavar="FILE",
    type=paths.new_file("the new model", example="model.onnx"),
    help="The new model: FILE.onnx (ONNX), or FILE.xml (OpenVINO; its weights are in FILE.bin). "
    "What it is fed with and what its columns mean stands in it, and in FILE.onnx.json or "
    "FILE.xml.json.",
)
@click.option(
    "--shards",
    metavar="SHARDS",
    type=paths.SHARDS,
    help="Check the new model on these packed images.  [default: those RUN was trained on]",
)
@click.option(
    "--split",
    default=ExportConfig.split,
    show_default="that of RUN's validation",
    metavar="NAME",
    help="Split of SHARDS, or several joined by commas.",
)
@click.option(
    "--images",
    "folder",
    metavar="DIR",
    type=paths.IMAGES,
    help="Check it on the images in this folder, in place of shards.",
)
@click.option(
    "--drawn",
    is_flag=True,
    help="Check it on images that the program draws: where the shards are out of reach, and no "
    "photographs are at hand.",
)
@click.option(
    "--check-images",
    type=click.IntRange(min=1),
    default=ExportConfig.check_images,
    show_default=True,
    metavar="IMAGES",
    help="Check on so many, at most.",
)
@click.option(
    "--max-pixels",
    type=click.IntRange(min=1),
    default=ExportConfig.max_pixels,
    show_default=True,
    metavar="PIXELS",
    help="An image with more (width times height) is passed over in the check.",
)
@click.option("--overwrite", is_flag=True, help="Replace a model that is already at FILE.")
@quiet_option
def export(
    checkpoint: Path,
    out: Path,
    *,
    shards: Path | None,
    split: str | None,
    folder: Path | None,
    drawn: bool,
    check_images: int,
    max_pixels: int,
    overwrite: bool,
    quiet: bool,
) -> None:
    """Write a model for ONNX Runtime, OpenVINO and whatever else reads their formats.

    RUN is a folder that 'vocscore train' wrote. The new model takes decoded and resized images,
    uint8, (images, size, size, 3), and gives probabilities: normalization, temperature and
    sigmoid are inside. docs/exporting.md shows the few lines before it. ONNX needs
    pip install 'vocscore[export]'.

    The new model is run beside the old one on images, and kept only if no probability differs by
    more than 0.0001. There is no way around this check.

    \b
    vocscore export run/ -o model.onnx
    vocscore export run/ -o model.xml --images photos/
    """
    if sum((shards is not None, folder is not None, drawn)) > 1:
        raise click.UsageError("--shards, --images and --drawn: give one of them.")
    from vocscore.exporting.formats import check_place
    from vocscore.models.card import load_card

    config = ExportConfig(split=split, check_images=check_images, max_pixels=max_pixels)
    check_place(out, overwrite=overwrite)
    load_card(checkpoint)  # refuses what is no run
    with (
        progress("export", quiet=quiet) as shown,
        _images(checkpoint, shards, folder, config=config, drawn=drawn) as (images, source),
    ):
        shown.stage("loading PyTorch")  # what could be refused was refused above
        from vocscore.exporting.export import export as write

        result = write(
            checkpoint,
            out,
            images=images,
            source=source,
            max_pixels=config.max_pixels,
            on_images=shown,
            on_stage=shown.stage,
        )
    if not quiet:
        click.echo(
            f"largest difference of a probability to PyTorch: {result.largest:.1g}, "
            f"on {result.images} images ({source})"
        )
        click.echo(f"model: {', '.join(map(str, result.files))}")


@contextmanager
def _images(
    checkpoint: Path,
    shards: Path | None,
    folder: Path | None,
    *,
    config: ExportConfig,
    drawn: bool,
) -> Iterator[tuple[Sequence[ImageRef], str]]:
    """What to check with, and what to call it; drawn images are gone when the block ends."""
    from shards.reader import load_split
    from vocscore.exporting.images import drawn_in, found_below

    most = config.check_images
    if drawn:
        with TemporaryDirectory(prefix="vocscore-") as place:
            yield drawn_in(Path(place), number=most), "drawn"
        return
    if folder is not None:
        yield found_below(folder, most=most), "a folder of images"
        return
    shards = shards or trained_on(
        checkpoint, instead="Check the export on others with --shards, --images or --drawn."
    )
    split = config.split or validated_on(checkpoint, shards)
    yield load_split(shards, split).images[:most], f"split {split!r} of the shards"
