"""`vocscore score`: pictures to one row each."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from vocscore.cli.common import (
    interruptible,
    progress,
    quiet_option,
    runtime_options,
    same_command,
)
from vocscore.config import ScoreConfig

if TYPE_CHECKING:
    from vocscore.score.run import ScoreReport


@click.command()
@click.argument("src", type=click.Path(allow_dash=True, path_type=Path))
@click.option(
    "-m",
    "--model",
    "checkpoint",
    required=True,
    metavar="RUN",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder that 'vocscore train' wrote.",
)
@click.option(
    "-o",
    "--output",
    "out",
    required=True,
    metavar="FILE.csv",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The predictions.",
)
@click.option(
    "--batch-size",
    type=click.IntRange(min=1),
    default=ScoreConfig.batch_size,
    show_default=True,
    metavar="PICTURES",
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
    help="A picture with more (width times height) is an error row.",
)
@runtime_options
@click.option("--overwrite", is_flag=True, help="Replace FILE.csv and forget an unfinished run.")
@quiet_option
def score(
    src: Path,
    checkpoint: Path,
    out: Path,
    *,
    workers: int | None,
    maker: str,
    device: str,
    overwrite: bool,
    quiet: bool,
    **settings: int,
) -> None:
    """Write one row of class probabilities for every picture.

    SRC is a folder (searched to the bottom), packed shards, a folder of other WebDataset tars or
    one tar, a list file (.txt, one path a line; '-' for standard input), or one picture.

    The header is 'path,status,error,<one column a class>,labels'; rows are in sorted path order.
    A picture that cannot be read is a row with status 'error' and the reason; it costs no other
    row. Stopped for whatever reason, the same command goes on where it stopped.

    \b
    vocscore score photos/ -m run/ -o predictions.csv
    find /data -name '*.jpg' | vocscore score - -m run/ -o predictions.csv
    """
    from vocscore.machine import usable_cores
    from vocscore.score.run import score as run

    config = ScoreConfig(**settings)
    with (
        progress("score", quiet=quiet) as shown,
        interruptible(f"Finished units are kept. Go on with: {same_command()}"),
    ):
        report = run(
            src,
            out,
            checkpoint=checkpoint,
            maker=maker,
            device=device,
            batch_size=config.batch_size,
            unit_size=config.unit_size,
            threads=workers or usable_cores(),
            overwrite=overwrite,
            max_pixels=config.max_pixels,
            progress=shown,
        )
    if not quiet:
        _summarise(report)


def _summarise(report: ScoreReport) -> None:
    """Pictures, errors, rate, and where the file is."""
    for problem in report.problems:
        click.echo(f"warning: {problem}", err=True)
    resumed = f" ({report.resumed} of them by an earlier run)" if report.resumed else ""
    click.echo(f"pictures: {report.pictures}{resumed}")
    reasons = ", ".join(f"{n} {reason}" for reason, n in sorted(report.reasons.items()))
    click.echo(f"errors: {report.errors}" + (f" ({reasons})" if reasons else ""))
    if report.skipped:
        click.echo(f"files that are no pictures, skipped: {report.skipped}")
    click.echo(f"{report.seconds:.1f} s, {report.images_per_second:.1f} images/s")
    click.echo(f"predictions: {report.output}")
