"""`vocscore score`: writes one row per image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from vocscore.cli import paths
from vocscore.cli.common import (
    interruptible,
    progress,
    quiet_option,
    refuse_summary,
    same_command,
    write_summary,
)
from vocscore.cli.help import PanelCommand
from vocscore.cli.options import config_options, panel_option
from vocscore.config.compute import DecodeConfig
from vocscore.config.groups import build
from vocscore.config.scoring import (
    InferenceConfig,
    InputsConfig,
    LimitsConfig,
    OutputConfig,
    ScoreConfig,
    UpdateConfig,
)

if TYPE_CHECKING:
    from pathlib import Path

    from vocscore.scoring.run import ScoreReport

ALL_BAD = 3
"""The exit code if the output was written, but every row is an error."""


def _split_names(
    _ctx: click.Context, _param: click.Parameter, value: str | None
) -> tuple[str, ...]:
    """Split a comma-separated list; empty names are refused, since '' would select a device."""
    names = tuple(name.strip() for name in value.split(",")) if value else ()
    if not all(names):
        raise click.BadParameter(f"{value!r} is not a list of devices such as 0,1 or cpu,cpu.")
    return names


@click.command(cls=PanelCommand)
@click.argument("src", type=paths.SourceType())
@panel_option(
    "-m",
    "--model",
    "checkpoint",
    panel="Model",
    required=True,
    metavar="RUN",
    type=paths.RUN,
    help="Folder that 'vocscore train' wrote.",
)
@panel_option(
    "-o",
    "--output",
    "out",
    panel=OutputConfig.title,
    required=True,
    metavar="FILE",
    type=paths.OUTPUT,
    help="The predictions; the suffix selects the format: .csv, .parquet or .jsonl. With --format "
    "a folder.",
)
@config_options(
    OutputConfig,
    UpdateConfig,
    InputsConfig,
    LimitsConfig,
    DecodeConfig,
    InferenceConfig,
    thresholds_file={"type": paths.THRESHOLDS},
    quarantine={"type": paths.new_folder("copies of bad inputs")},
    devices={"multiple": False, "default": None, "callback": _split_names},
)
@panel_option(
    "--json",
    "json_file",
    panel=OutputConfig.title,
    metavar="FILE.json",
    type=paths.SUMMARY,
    help="Write the summary to this file.",
)
@quiet_option
def score(
    src: str,
    checkpoint: Path,
    out: Path,
    *,
    json_file: Path | None,
    quiet: bool,
    **settings: Any,
) -> None:
    """Write one row of class probabilities for every image.

    SRC is a folder (searched recursively), packed shards, a folder of other WebDataset tars or one
    tar, a list file (.txt, .lst or .list, one path per line; '-' for standard input), or one
    image.

    The columns are path, status, error, one per class, labels; rows are in sorted path order.
    An image that cannot be read is a row with status 'error' and the reason; no other row is
    affected. If a run is stopped, rerun the same command to resume it. If it is finished, the same
    command does nothing; with --update it scores what has been added or changed since.

    A record is written beside the output (predictions.csv.json): the model, what it was trained
    on, versions, the command. 'vocscore eval' reads it.

    \b
    Examples:
      vocscore score photos/ -m run/ -o predictions.csv
      vocscore score photos/ -m run/ -o predictions/ --format parquet
      find /data -name '*.jpg' | vocscore score - -m run/ -o predictions.csv
    """
    from vocscore.scoring.run import score as run

    config = build(ScoreConfig, settings)
    refuse_summary(json_file, beside=checkpoint, of=out)
    with (
        interruptible(f"Finished units are kept. Resume with: {same_command()}"),
        progress("score", quiet=quiet) as shown,
    ):
        report = run(
            src,
            out,
            config,
            checkpoint=checkpoint,
            command=same_command(),
            progress=shown,
            listing=shown.listing,
            on_stage=shown.stage,
        )
    for problem in report.problems:  # also with --quiet: something in the source was not scored
        click.echo(f"warning: {problem}", err=True)
    if not quiet:
        _summarize(report)
        if (copies := config.limits.quarantine) is not None:
            click.echo(f"copies of bad inputs: {copies} (reasons: quarantine.csv in it)")
    if json_file:
        write_summary(json_file, report.to_json())
    if report.all_bad:
        _say_all_bad(report)
        raise click.exceptions.Exit(ALL_BAD)


def _say_all_bad(report: ScoreReport) -> None:
    """Warn, also with --quiet, that no row has probabilities."""
    reasons = ", ".join(f"{n} {reason}" for reason, n in sorted(report.reasons.items()))
    click.echo(
        f"warning: every row is an error ({reasons}): nothing was scored. The column 'error' of "
        f"{report.output} has the reasons.",
        err=True,
    )


def _summarize(report: ScoreReport) -> None:
    """Print images, errors, the rate, and the path of the output."""
    from shards.file_kinds import listed

    if report.complete:
        click.echo(str(report))
        return
    resumed = f" ({report.resumed} of them by an earlier run)" if report.resumed else ""
    click.echo(f"images: {report.images}{resumed}")
    if report.update is not None:
        counts = ", ".join(f"{n} {what}" for what, n in report.update.items() if n)
        click.echo(f"update: {counts}")
    reasons = ", ".join(f"{n} {reason}" for reason, n in sorted(report.reasons.items()))
    click.echo(f"errors: {report.errors}" + (f" ({reasons})" if reasons else ""))
    if report.skipped:
        click.echo(f"files skipped: {report.skipped} ({listed(report.skipped_kinds)})")
    click.echo(f"{report.seconds:.1f} s, {report.images_per_second:.1f} images/s")
    if report.ceilings:
        click.echo(f"ceilings, images/s: {report.ceilings}")
    if report.reached:
        click.echo(f"bottleneck: {report.reached}")
    click.echo(f"predictions: {report.output}")
