"""The summary of scoring, as `score` and `merge` print it."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import click

from vocscore.cli.shown_commands import program
from vocscore.cli.typed_options import echo

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from vocscore.scoring.score_report import ScoreReport

ALL_BAD = 3
"""The exit code if the output was written, but every row is an error."""


def say_all_bad(report: ScoreReport, output: str) -> None:
    """Warn, also with --quiet, that no row has probabilities, and leave with the code for it."""
    reasons = ", ".join(f"{n} {reason}" for reason, n in sorted(report.reasons.items()))
    echo(
        f"warning: every row is an error ({reasons}): nothing was scored. The column 'error' of "
        f"{output} has the reasons.",
        err=True,
    )
    if report.units is None:  # jobs that follow this one shall start: `vocscore merge` tells, too
        raise click.exceptions.Exit(ALL_BAD)


def summarize(report: ScoreReport, *, quarantine: Path | None, err: bool) -> None:
    """Print images, errors, the rate, and the paths of what was written."""
    lines = [str(report)] if report.complete else list(_summary(report))
    if report.left is not None:
        lines += _job(report)
    elif not report.complete and not err:
        lines.append(f"predictions: {report.output}")
        lines += [f"features: {report.features}"] if report.features else []
    if quarantine is not None:
        lines.append(f"copies of bad inputs: {quarantine} (reasons: quarantine.csv in it)")
    for line in lines:
        echo(line, err=err)


def _job(report: ScoreReport) -> Iterator[str]:
    """What a job tells of all jobs."""
    if report.left:
        yield f"units of all jobs that are not scored yet: {report.left}"
        return
    command = shlex.join([*program(), "merge", str(report.output)])
    yield f"every unit is scored; write the output with: {command}"


def _summary(report: ScoreReport) -> Iterator[str]:
    from shards.file_kinds import listed

    resumed = f" ({report.resumed} of them by an earlier run)" if report.resumed else ""
    yield f"images: {report.images}{resumed}"
    if report.update is not None:
        counts = ", ".join(f"{n} {what}" for what, n in report.update.items() if n)
        yield f"update: {counts}"
    reasons = ", ".join(f"{n} {reason}" for reason, n in sorted(report.reasons.items()))
    yield f"errors: {report.errors}" + (f" ({reasons})" if reasons else "")
    if report.skipped:
        yield f"files skipped: {report.skipped} ({listed(report.skipped_kinds)})"
    if report.seconds:  # of jobs, unless their machines' clocks contradict each other
        yield f"{report.seconds:.1f} s, {report.images_per_second:.1f} images/s"
    if report.precision is not None:
        yield f"precision: {report.precision}"
    if report.processes:
        yield f"processes: {report.processes}"
    if report.peak_memory_bytes:
        yield f"peak memory: {report.peak_memory_bytes / 2**20:,.0f} MiB"
    if report.gpu:
        yield f"GPU: {report.gpu}"
    if report.ceilings:
        yield f"ceilings, images/s: {report.ceilings}"
    if report.reached:
        yield f"bottleneck: {report.reached}"
