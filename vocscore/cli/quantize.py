"""`vocscore quantize`: a model in 8-bit integers, checked before it is kept."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from vocscore.cli import paths
from vocscore.cli.common import progress, quiet_option
from vocscore.cli.help import PanelCommand
from vocscore.cli.options import config_options
from vocscore.cli.typed_options import echo
from vocscore.config.exporting import QuantizeConfig
from vocscore.config.groups import build

if TYPE_CHECKING:
    from pathlib import Path

    from vocscore.config.exporting import CalibrationConfig


@click.command(cls=PanelCommand)
@click.argument("checkpoint", metavar="RUN", type=paths.RUN)
@config_options(QuantizeConfig, shards={"type": paths.SHARDS})
@quiet_option
def quantize(checkpoint: Path, *, quiet: bool, **settings: Any) -> None:
    """Quantize a model to 8 bits, for --precision int8.

    RUN is a folder that 'vocscore train' wrote; the 8-bit model is written beside its weights, for
    'vocscore score' with --precision int8. It is calibrated on packed images (by default validation
    images), compared with float32 on the same split, and written only if it is close enough. Needs
    NNCF: pip install 'vocscore[int8]'.

    \b
    Examples:
      vocscore quantize run/
      vocscore score photos/ -m run/ -o predictions.csv --precision int8
    """
    from vocscore.exporting.quantize import measured_on, quantize
    from vocscore.runtime.int8 import FOLDER

    config = build(QuantizeConfig, settings)
    config = replace(config, data=measured_on(checkpoint, config.data))
    with progress("quantize", quiet=quiet) as shown:
        result = quantize(checkpoint, config, on_images=shown, on_stage=shown.stage)
    if not quiet:
        echo(f"images: {result.images} of split {config.data.split!r}")
        echo(_seen_line(checkpoint, config.data))
        echo(str(result))
        echo(f"int8 model: {checkpoint / FOLDER} (preset {result.preset})")


def _seen_line(run: Path, data: CalibrationConfig) -> str:
    """Return how many images of a split the run was trained on, to qualify figures on it."""
    from shards.manifest import read_manifest
    from vocscore.evaluation.labeled import load_labeled
    from vocscore.evaluation.seen import find_seen, run_origin
    from vocscore.records.trained_on import split_names

    shards, split = data.shards, data.split
    assert shards is not None
    assert split is not None
    labeled = load_labeled(shards, split_names(split))
    seen = find_seen(labeled, shards, read_manifest(shards), run_origin(run))
    trained, images = int(seen.trained.sum()), len(labeled.names)
    assumed = ", by the names of splits" if seen.known_by == "assumption" else ""
    if trained:
        return f"NOT HELD OUT: {trained} of these {images} images were trained on{assumed}"
    return f"none of these {images} images was trained on{assumed}"
