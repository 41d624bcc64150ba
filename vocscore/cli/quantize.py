"""`vocscore quantize`: a model in 8-bit integers, proved before it is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from vocscore.cli import paths
from vocscore.cli.common import progress, quiet_option
from vocscore.cli.help import PanelCommand
from vocscore.cli.options import config_options
from vocscore.cli.trained_on import seen_line, trained_on, validated_on
from vocscore.config.exporting import QuantizeConfig
from vocscore.config.groups import build

if TYPE_CHECKING:
    from pathlib import Path


@click.command(cls=PanelCommand)
@click.argument("checkpoint", metavar="RUN", type=paths.RUN)
@config_options(QuantizeConfig, shards={"type": paths.SHARDS})
@quiet_option
def quantize(checkpoint: Path, *, quiet: bool, **settings: Any) -> None:
    """Make the 8-bit form of a model, for 'vocscore score' with --precision int8.

    RUN is a folder that 'vocscore train' wrote; the 8-bit model is put beside its weights. It is
    calibrated on packed images (validation images, by default), measured beside float32 on the
    same split, and written only if it is close enough. Needs NNCF: pip install 'vocscore[int8]'.

    \b
    vocscore quantize run/
    vocscore score photos/ -m run/ -o predictions.csv --precision int8
    """
    from vocscore.exporting.quantize import quantize

    config = build(QuantizeConfig, settings)
    shards = config.data.shards or trained_on(checkpoint)
    split = config.data.split or validated_on(checkpoint, shards)
    with progress("quantize", quiet=quiet) as shown:
        result = quantize(
            checkpoint,
            shards,
            split=split,
            calibration_images=config.data.calibration_images,
            max_map_drop=config.acceptance.max_map_drop,
            max_changed=config.acceptance.max_changed,
            max_pixels=config.data.max_pixels,
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
