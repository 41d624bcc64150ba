"""`vocscore export`: a model for other programs, proved before it is kept."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import click

from vocscore.cli import paths
from vocscore.cli.common import progress, quiet_option
from vocscore.cli.help import PanelCommand
from vocscore.cli.options import config_options, panel_option
from vocscore.cli.trained_on import trained_on, validated_on
from vocscore.config.exporting import CheckConfig, ExportConfig, ModelFileConfig
from vocscore.config.groups import build

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from shards.sample import ImageRef


@click.command(cls=PanelCommand)
@click.argument("checkpoint", metavar="RUN", type=paths.RUN)
@panel_option(
    "-o",
    "--output",
    "out",
    panel=ModelFileConfig.title,
    required=True,
    metavar="FILE",
    type=paths.new_file("the new model", example="model.onnx"),
    help="The new model: FILE.onnx (ONNX), or FILE.xml (OpenVINO; its weights are in FILE.bin). "
    "The expected input and the meaning of the columns are stored in it, and in FILE.onnx.json or "
    "FILE.xml.json.",
)
@config_options(
    ModelFileConfig,
    CheckConfig,
    shards={"type": paths.SHARDS},
    images={"type": paths.IMAGES},
)
@quiet_option
def export(checkpoint: Path, out: Path, *, quiet: bool, **settings: Any) -> None:
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
    from vocscore.exporting.formats import check_place
    from vocscore.models.card import load_card

    config = build(ExportConfig, settings)
    check_place(out, overwrite=config.output.overwrite)
    load_card(checkpoint)  # refuses what is no run
    with (
        progress("export", quiet=quiet) as shown,
        _images(checkpoint, config.check) as (images, source),
    ):
        shown.stage("loading PyTorch")  # what could be refused was refused above
        from vocscore.exporting.export import export as write

        result = write(
            checkpoint,
            out,
            images=images,
            source=source,
            max_pixels=config.check.max_pixels,
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
def _images(checkpoint: Path, check: CheckConfig) -> Iterator[tuple[Sequence[ImageRef], str]]:
    """What to check with, and what to call it; drawn images are gone when the block ends."""
    from shards.reader import load_split
    from vocscore.exporting.images import drawn_in, found_below

    most = check.check_images
    if check.drawn:
        with TemporaryDirectory(prefix="vocscore-") as place:
            yield drawn_in(Path(place), number=most), "drawn"
        return
    if check.images is not None:
        yield found_below(check.images, most=most), "a folder of images"
        return
    shards = check.shards or trained_on(
        checkpoint, instead="Check the export on others with --shards, --images or --drawn."
    )
    split = check.split or validated_on(checkpoint, shards)
    yield load_split(shards, split).images[:most], f"split {split!r} of the shards"
