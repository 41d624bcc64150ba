"""`vocscore score`: images to one row each."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from vocscore.cli import paths
from vocscore.cli.bad_options import input_options
from vocscore.cli.common import (
    interruptible,
    progress,
    quiet_option,
    refuse_summary,
    runtime_options,
    same_command,
    write_summary,
)
from vocscore.cli.device_options import devices_option, refuse_both
from vocscore.cli.format_options import format_options
from vocscore.config import ScoreConfig

if TYPE_CHECKING:
    from pathlib import Path

    from vocscore.scoring.run import ScoreReport
    from vocscore.scoring.walls import Reached

ALL_BAD = 3
"""The exit code where the output is there and no row of it has a probability."""


@click.command()
@click.argument("src", type=paths.SourceType())
@click.option(
    "-m",
    "--model",
    "checkpoint",
    required=True,
    metavar="RUN",
    type=paths.RUN,
    help="Folder that 'vocscore train' wrote.",
)
@format_options
@click.option(
    "--precision",
    type=click.Choice(["auto", "float32", "bf16", "int8"]),
    default=ScoreConfig.precision,
    show_default=True,
    help="The network's arithmetic. auto: bf16 where this machine computes in it and training has "
    "shown that it keeps the model's probabilities (within 0.02), else float32. int8: the fastest "
    "on a CPU, from what 'vocscore quantize RUN' made and checked.",
)
@click.option(
    "--batch-size",
    type=click.IntRange(min=1),
    default=ScoreConfig.batch_size,
    show_default=True,
    metavar="IMAGES",
)
@click.option(
    "--unit-size",
    type=click.IntRange(min=1),
    default=ScoreConfig.unit_size,
    show_default=True,
    metavar="FILES",
    help="Files of a folder that are scored and committed together; a tar is one unit.",
)
@click.option(
    "--max-pixels",
    type=click.IntRange(min=1),
    default=ScoreConfig.max_pixels,
    show_default=True,
    metavar="PIXELS",
    help="An image with more (width times height) is an error row.",
)
@input_options
@runtime_options
@devices_option
@click.option("--overwrite", is_flag=True, help="Replace FILE and forget an unfinished run.")
@click.option(
    "--ceilings/--no-ceilings",
    default=None,
    help="Measure at the end, for some seconds, how fast this machine reads, decodes and computes, "
    "each alone, and say which of them is the wall.  [default: after runs of 20 s and more]",
)
@click.option(
    "--json",
    "json_file",
    metavar="FILE.json",
    type=paths.SUMMARY,
    help="Write the summary there.",
)
@quiet_option
def score(
    src: str,
    checkpoint: Path,
    out: Path,
    *,
    workers: int | None,
    loader: str,
    device: str,
    folder_format: str | None,
    overwrite: bool,
    ceilings: bool | None,
    json_file: Path | None,
    quarantine: Path | None,
    quiet: bool,
    **settings: Any,
) -> None:
    """Write one row of class probabilities for every image.

    SRC is a folder (searched to the bottom), packed shards, a folder of other WebDataset tars or
    one tar, a list file (.txt, .lst or .list, one path a line; '-' for standard input), or one
    image.

    The columns are path, status, error, one a class, labels; rows are in sorted path order.
    An image that cannot be read is a row with status 'error' and the reason; it costs no other
    row. Stopped for whatever reason, the same command goes on where it stopped.

    Beside the output stands its record (predictions.csv.json): the model, what it was trained on,
    versions, the command. 'vocscore eval' reads it.

    \b
    vocscore score photos/ -m run/ -o predictions.csv
    vocscore score photos/ -m run/ -o predictions/ --format parquet
    find /data -name '*.jpg' | vocscore score - -m run/ -o predictions.csv
    """
    from vocscore.machine import usable_cores
    from vocscore.scoring.inputs.globs import Globs
    from vocscore.scoring.output.formats.selection import Selection
    from vocscore.scoring.run import score as run

    config = ScoreConfig(**settings)
    refuse_both(device, config.devices)
    refuse_summary(json_file, beside=checkpoint, of=out)
    with (
        interruptible(f"Finished units are kept. Go on with: {same_command()}"),
        progress("score", quiet=quiet) as shown,
    ):
        report = run(
            src,
            out,
            checkpoint=checkpoint,
            loader=loader,
            device=device,
            devices=config.devices,
            precision=config.precision,
            batch_size=config.batch_size,
            unit_size=config.unit_size,
            threads=workers or usable_cores(),
            overwrite=overwrite,
            max_pixels=config.max_pixels,
            folder_format=folder_format,
            selection=Selection(config.columns, config.top_k, config.min_probability),
            globs=Globs(config.include, config.exclude),
            max_bad=config.max_bad,
            quarantine=quarantine,
            ceilings_after=_ceilings_after(ceilings, config.ceilings_after),
            command=same_command(),
            progress=shown,
            listing=shown.listing,
            on_stage=shown.stage,
        )
    for problem in report.problems:  # --quiet or not: something of the source was not scored
        click.echo(f"warning: {problem}", err=True)
    if not quiet:
        _summarize(report)
        if quarantine is not None:
            click.echo(f"copies of bad inputs: {quarantine} (why: quarantine.csv in it)")
    if json_file:
        write_summary(json_file, report.to_json())
    if report.all_bad:
        _say_all_bad(report)
        raise click.exceptions.Exit(ALL_BAD)


def _ceilings_after(asked: bool | None, seconds: float) -> float | None:
    """Always, never, or after a run that is long enough for some seconds not to matter."""
    if asked is None:
        return seconds
    return 0.0 if asked else None


def _say_all_bad(report: ScoreReport) -> None:
    """Warn of an output without a probability, --quiet or not."""
    reasons = ", ".join(f"{n} {reason}" for reason, n in sorted(report.reasons.items()))
    click.echo(
        f"warning: every row is an error ({reasons}): nothing was scored. The column 'error' of "
        f"{report.output} says why.",
        err=True,
    )


def _summarize(report: ScoreReport) -> None:
    """Images, errors, rate, and where the file is."""
    from shards.file_kinds import listed

    resumed = f" ({report.resumed} of them by an earlier run)" if report.resumed else ""
    click.echo(f"images: {report.images}{resumed}")
    reasons = ", ".join(f"{n} {reason}" for reason, n in sorted(report.reasons.items()))
    click.echo(f"errors: {report.errors}" + (f" ({reasons})" if reasons else ""))
    if report.skipped:
        click.echo(f"files skipped: {report.skipped} ({listed(report.skipped_kinds)})")
    click.echo(f"{report.seconds:.1f} s, {report.images_per_second:.1f} images/s")
    if report.ceilings:
        rates = ", ".join(f"{k} {v:.0f}" for k, v in asdict(report.ceilings).items())
        click.echo(f"ceilings, images/s: {rates}")
    if report.reached:
        click.echo(_wall(report.reached))
    click.echo(f"predictions: {report.output}")


def _wall(reached: Reached) -> str:
    """Which stage binds, or why that cannot be said."""
    if reached.share is None:
        return (
            f"the wall: not known; the run was faster than what was measured for "
            f"{' and '.join(reached.too_low)}, so that was measured too low (few images, or ones "
            "that take longer than the others)"
        )
    return f"the wall: {reached.wall}; reached: {reached.share:.0%} of it"
