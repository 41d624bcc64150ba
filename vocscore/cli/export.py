"""`vocscore export`: a model for other programs, checked before it is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from vocscore.cli import paths
from vocscore.cli.common import progress, quiet_option
from vocscore.cli.help import PanelCommand
from vocscore.cli.options import config_options, panel_option
from vocscore.cli.typed_options import echo
from vocscore.config.exporting import CheckConfig, ExportConfig, ModelFileConfig
from vocscore.config.groups import build

if TYPE_CHECKING:
    from pathlib import Path


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
    help="The exported model: FILE.onnx (ONNX), or FILE.xml (OpenVINO, with weights in FILE.bin). "
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
    """Write a model as ONNX or OpenVINO, for other programs.

    RUN is a folder that 'vocscore train' wrote. The exported model takes decoded and resized
    images, uint8, (images, size, size, 3), and returns probabilities: it includes normalization,
    temperature and sigmoid. docs/exporting.md shows the preprocessing code. ONNX needs
    pip install 'vocscore[export]'.

    Both models are run on images, and the exported one is kept only if no probability differs by
    more than 0.0001. This check cannot be disabled.

    \b
    Examples:
      vocscore export run/ -o model.onnx
      vocscore export run/ -o model.xml --images photos/
    """
    from vocscore.exporting.job import export as write

    config = build(ExportConfig, settings)
    with progress("export", quiet=quiet) as shown:
        result = write(checkpoint, out, config, on_images=shown, on_stage=shown.stage)
    if not quiet:
        echo(
            f"largest difference in probability from {result.original}: {result.largest:.1g}, "
            f"on {result.images} images ({result.source})"
        )
        echo(f"model: {', '.join(map(str, result.files))}")
