"""`vocscore quantize`: a model in 8-bit integers, proved before it is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from vocscore.cli import paths
from vocscore.cli.common import progress, quiet_option
from vocscore.cli.numbers import FiniteRange
from vocscore.cli.trained_on import seen_line, trained_on, validated_on
from vocscore.config import QuantizeConfig

if TYPE_CHECKING:
    from pathlib import Path


@click.command()
@click.argument(
    "checkpoint",
    metavar="RUN",
    type=paths.RUN,
)
@click.option(
    "--shards",
    metavar="SHARDS",
    type=paths.SHARDS,
    help="Packed images to calibrate and to measure with.  [default: those RUN was trained on]",
)
@click.option(
    "--split",
    default=QuantizeConfig.split,
    show_default="that of RUN's validation",
    metavar="NAME",
    help="Split of SHARDS, or several joined by commas. Not one that the model was trained on.",
)
@click.option(
    "--calibration-images",
    type=click.IntRange(min=1),
    default=QuantizeConfig.calibration_images,
    show_default=True,
    metavar="IMAGES",
    help="Images from which the ranges of the 8 bits are taken.",
)
@click.option(
    "--max-map-drop",
    type=FiniteRange(0, 1),
    default=QuantizeConfig.max_map_drop,
    show_default=True,
    metavar="SHARE",
    help="Write nothing if the mean average precision falls by more.",
)
@click.option(
    "--max-changed",
    type=FiniteRange(0, 1),
    default=QuantizeConfig.max_changed,
    show_default=True,
    metavar="SHARE",
    help="Write nothing if more of the decisions at the thresholds change.",
)
@click.option(
    "--max-pixels",
    type=click.IntRange(min=1),
    default=QuantizeConfig.max_pixels,
    show_default=True,
    metavar="PIXELS",
    help="An image with more (width times height) is refused.",
)
@quiet_option
def quantize(checkpoint: Path, shards: Path | None, *, quiet: bool, **settings: Any) -> None:
    """Make the 8-bit form of a model, for 'vocscore score' with --precision int8.

    RUN is a folder that 'vocscore train' wrote; the 8-bit model is put beside its weights. It is
    calibrated on packed images (validation images, by default), measured beside float32 on the
    same split, and written only if it is close enough. Needs NNCF: pip install 'vocscore[int8]'.

    \b
    vocscore quantize run/
    vocscore score photos/ -m run/ -o predictions.csv --precision int8
    """
    from vocscore.exporting.quantize import quantize

    config = QuantizeConfig(**settings)
    shards = shards or trained_on(checkpoint)
    split = config.split or validated_on(checkpoint, shards)
    with progress("quantize", quiet=quiet) as shown:
        result = quantize(
            checkpoint,
            shards,
            split=split,
            calibration_images=config.calibration_images,
            max_map_drop=config.max_map_drop,
            max_changed=config.max_changed,
            max_pixels=config.max_pixels,
            on_images=shown,
            on_stage=shown.stage,
        )
    if not quiet:
        click.echo(f"images: {result.images} of split {split!r}")
        click.echo(seen_line(checkpoint, shards, split))
        click.echo(f"mAP: float32 {result.map_float32:.4f}, int8 {result.map_int8:.4f}")
        click.echo(
            f"decisions changed: {result.changed:.2%}; largest difference of a probability: "
            f"{result.largest:.3f}"
        )
        click.echo(f"int8 model: {checkpoint / 'int8'} (preset {result.preset})")
