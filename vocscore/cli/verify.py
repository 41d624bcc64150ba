"""`vocscore verify`: checks a packed set, and finds images that look alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from vocscore.cli import paths
from vocscore.cli.common import (
    KnownError,
    progress,
    quiet_option,
    refuse_summary,
    write_summary,
)
from vocscore.cli.help import PanelCommand
from vocscore.cli.options import config_options, panel_option
from vocscore.cli.typed_options import echo
from vocscore.config.groups import build
from vocscore.config.verifying import VerifyConfig

if TYPE_CHECKING:
    from pathlib import Path


@click.command(cls=PanelCommand)
@click.argument("shards", type=paths.SHARDS)
@config_options(VerifyConfig)
@panel_option(
    "--csv",
    "csv_file",
    panel="Output",
    metavar="FILE.csv",
    type=paths.new_file("the near duplicates", example="duplicates.csv"),
    help="Write one row per pair of near duplicates: path, split, other_path, other_split, "
    "distance (bits), exact (1: the same bytes), labels_differ (classes that only one has).",
)
@panel_option(
    "--json",
    "json_file",
    panel="Output",
    metavar="FILE.json",
    type=paths.SUMMARY,
    help="Write problems and near duplicates to this file.",
)
@quiet_option
def verify(
    shards: Path, *, csv_file: Path | None, json_file: Path | None, quiet: bool, **settings: Any
) -> None:
    """Check a packed set: hashes, indexes, counts, labels.

    Prints one line per problem and exits with 1; exits with 0 if there is none. With --duplicates,
    also finds images that look alike.

    \b
    Examples:
      vocscore verify shards/
      vocscore verify shards/ --duplicates --csv duplicates.csv
    """
    from shards.duplicates import write_duplicates
    from vocscore.verifying import duplicates_text
    from vocscore.verifying import verify as run

    config = build(VerifyConfig, settings)
    if csv_file and not config.duplicates.duplicates:
        raise click.UsageError("--csv FILE.csv lists near duplicates: add --duplicates.")
    _refuse_csv(csv_file, shards)
    refuse_summary(json_file, beside=shards, of=shards / "dataset.json")
    with progress("verify", quiet=quiet) as shown:
        report = run(shards, config, on_stage=shown.stage, progress=shown)
    if csv_file and report.duplicates:
        write_duplicates(csv_file, report.duplicates)
    if json_file:
        write_summary(json_file, report.to_json())
    for problem in report.problems:
        echo(problem)
    if not quiet and not report.problems:
        echo(f"{shards}: no problems found")
    if not quiet and report.duplicates:
        for line in duplicates_text(report.duplicates):
            echo(line)
    if report.problems:
        raise click.exceptions.Exit(1)


def _refuse_csv(file: Path | None, shards: Path) -> None:
    """Check the path of the table before the work starts.

    Raises:
        KnownError: its folder is missing, or is the packed set, which has tables of its own.
    """
    if file is None:
        return
    if not file.parent.is_dir():
        raise KnownError(f"--csv {file}: no such folder. Create it, or name another.")
    if file.parent.resolve() == shards.resolve():
        raise KnownError(f"--csv {file}: {shards} is the packed set. Name another folder.")
