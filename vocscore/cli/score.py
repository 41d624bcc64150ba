"""`vocscore score`: writes one row per image."""

from __future__ import annotations

import signal
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
from vocscore.cli.path_types import STANDARD_OUTPUT, SourceType
from vocscore.cli.score_summary import say_all_bad, summarize
from vocscore.cli.streams import rows_to_stdout
from vocscore.cli.typed_options import echo
from vocscore.config.cluster import ClusterConfig
from vocscore.config.compute import DecodeConfig
from vocscore.config.groups import build
from vocscore.config.jobs import JobsConfig
from vocscore.config.scoring import (
    InferenceConfig,
    InputsConfig,
    LimitsConfig,
    OutputConfig,
    ScoreConfig,
    UpdateConfig,
)
from vocscore.errors import ReaderLeftError

if TYPE_CHECKING:
    from pathlib import Path

    from vocscore.cli.common import Progress
    from vocscore.config.tta import Tta
    from vocscore.scoring.score_report import ScoreReport

READER_LEFT = 128 + signal.SIGPIPE
"""The exit code if the reader of standard output ended, as shells report it of other programs."""


def split_names(_ctx: click.Context, _param: click.Parameter, value: str | None) -> tuple[str, ...]:
    """Split a comma-separated list; empty names are refused, since '' would select a device."""
    names = tuple(name.strip() for name in value.split(",")) if value else ()
    if not all(names):
        raise click.BadParameter(f"{value!r} is not a list of devices such as 0,1 or cpu,cpu.")
    return names


@click.command(cls=PanelCommand)
@click.argument("src", type=SourceType())
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
    type=paths.ROWS,
    help="The predictions; the suffix selects the format: .csv, .parquet or .jsonl. With --format "
    "a folder. '-': standard output, unit by unit; such a run cannot be resumed, and has no "
    "record.",
)
@config_options(
    OutputConfig,
    UpdateConfig,
    InputsConfig,
    LimitsConfig,
    DecodeConfig,
    InferenceConfig,
    JobsConfig,
    ClusterConfig,
    thresholds_file={"type": paths.THRESHOLDS},
    features={"type": paths.FEATURES},
    quarantine={"type": paths.QUARANTINE},
    devices={"multiple": False, "default": None, "callback": split_names},
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
      vocscore score photos/ -m run/ -o predictions.csv --units 3/16
      vocscore score photos/ -m run/ -o predictions.csv --on ray --processes 16
      vocscore score photos/ -m run/ -o - --top-k 1 --decimals 3 --quiet | head
    """
    config = build(ScoreConfig, settings)
    refuse_summary(json_file, beside=checkpoint, of=out)
    to_stdout = out is STANDARD_OUTPUT
    if not quiet and config.compute.views is not None:
        _say_cost(config.compute.views, checkpoint)
    with progress("score", quiet=quiet) as shown:
        report = (
            _score_to_stdout(src, config, checkpoint=checkpoint, shown=shown)
            if to_stdout
            else _score_to_file(src, out, config, checkpoint=checkpoint, shown=shown, quiet=quiet)
        )
    for problem in report.problems:  # also with --quiet: something in the source was not scored
        echo(f"warning: {problem}", err=True)
    if not quiet:
        summarize(report, quarantine=config.limits.quarantine, err=to_stdout)
    if json_file:
        write_summary(json_file, report.to_json())
    if report.all_bad:
        say_all_bad(report, "standard output" if to_stdout else str(out))


def _say_cost(views: Tta, checkpoint: Path) -> None:
    """Say, before any image is scored, what the views cost."""
    from vocscore.models.card_file import load_card

    cost = views.cost(load_card(checkpoint).preprocess.size)
    echo(f"tta {views}: {cost}", err=True)


def _score_to_file(
    src: str, out: Path, config: ScoreConfig, *, checkpoint: Path, shown: Progress, quiet: bool
) -> ScoreReport:
    from vocscore.scoring.jobs.start import start

    with interruptible(f"Finished units are kept. Resume with: {same_command()}"):
        return start(
            src,
            out,
            config,
            checkpoint=checkpoint,
            command=same_command(),
            progress=shown,
            listing=shown.listing,
            on_stage=shown.stage,
            may_spawn=True,
            on_share=None if quiet else lambda share: echo(f"units: {share}", err=True),
        )


def _score_to_stdout(
    src: str, config: ScoreConfig, *, checkpoint: Path, shown: Progress
) -> ScoreReport:
    """Write rows to standard output, and end silently if its reader ends, as `cat` does."""
    from vocscore.scoring.to_stream import score_to_stream

    try:
        with interruptible("The rows are incomplete."), rows_to_stdout() as stream:
            return score_to_stream(
                src,
                stream,
                config,
                checkpoint=checkpoint,
                progress=shown,
                listing=shown.listing,
                on_stage=shown.stage,
            )
    except ReaderLeftError:
        raise click.exceptions.Exit(READER_LEFT) from None
