"""`vocscore info`: what a path is, and what it was made from."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from vocscore.cli import paths
from vocscore.cli.common import refuse_summary, write_summary
from vocscore.cli.help import PanelCommand
from vocscore.cli.options import panel_option
from vocscore.cli.typed_options import echo

if TYPE_CHECKING:
    from pathlib import Path


@click.command(cls=PanelCommand)
@click.argument("path", type=paths.ANYTHING)
@panel_option(
    "--json",
    "json_file",
    panel="Output",
    metavar="FILE.json",
    type=paths.SUMMARY,
    help="Write everything to this file, with all classes; '-' for standard output instead of the "
    "text.",
)
def info(path: Path, *, json_file: Path | None) -> None:
    """Show what a file or folder is, and what it was made from.

    PATH is predictions (a file, a folder of parts, an unfinished run's OUT.parts, or the record
    beside them), a run that 'vocscore train' wrote or is writing, packed shards, or an exported
    model.

    \b
    Examples:
      vocscore info predictions.csv
      vocscore info run/ --json run.json
    """
    from vocscore.api.info import read_info

    to_standard_output = str(json_file) == "-"
    if not to_standard_output:
        refuse_summary(json_file, beside=path, of=path)
    found = read_info(path)
    if to_standard_output:
        click.echo(json.dumps(found.to_json(), indent=2))
        return
    if json_file is not None:
        write_summary(json_file, found.to_json())
    echo(str(found))
