"""`vocscore import-model`: a run of a model that another program trained."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vocscore.cli import paths
from vocscore.cli.common import progress, quiet_option
from vocscore.cli.help import PanelCommand
from vocscore.cli.options import config_options, panel_option
from vocscore.cli.shown_commands import free_path, vocscore_command
from vocscore.cli.typed_options import echo
from vocscore.config.groups import build
from vocscore.config.importing import ImportConfig, RunFolderConfig

if TYPE_CHECKING:
    from vocscore.importing.job import ImportReport


@click.command(cls=PanelCommand)
@click.argument("file", metavar="FILE", type=paths.FOREIGN_MODEL)
@panel_option(
    "-o",
    "--output",
    "out",
    panel=RunFolderConfig.title,
    required=True,
    metavar="RUN",
    type=paths.new_folder("the run"),
    help="The new run, for 'vocscore score', 'quantize' and 'export'.",
)
@config_options(
    ImportConfig,
    classes={"type": paths.old_file("names of classes")},
    images={"type": paths.IMAGES},
)
@quiet_option
def import_model(file: Path, out: Path, *, quiet: bool, **settings: Any) -> None:
    """Make a run of a model that another program trained.

    FILE is the weights of a whole torchvision or timm classifier, its own last layer included (a
    state dict, as torch.save or safetensors write it); a folder with config.json and
    model.safetensors, in timm's form on Hugging Face; or an ONNX file. No code in it is run.

    The run is compared with the original on images, and kept only if no probability differs by more
    than 0.001. This check cannot be disabled.

    \b
    Examples:
      vocscore import-model resnet50.pth --backbone resnet50 --classes names.txt -o run/
      vocscore import-model vit_base_patch16_224/ --classes names.txt --activation softmax -o run/
    """
    from vocscore.importing.job import import_model as run

    config = build(ImportConfig, settings)
    with progress("import-model", quiet=quiet) as shown:
        report = run(file, out, config, on_images=shown, on_stage=shown.stage)
    if not quiet:
        _summarize(report)


def _summarize(report: ImportReport) -> None:
    """Print the summary, and the command that scores images with the run."""
    echo(str(report))
    predictions = free_path(Path("predictions.csv"))
    echo(f"next: {vocscore_command('score', 'DIR', '-m', report.run, '-o', predictions)}")
