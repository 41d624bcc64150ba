"""The options of `vocscore score` that say how predictions are written."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from vocscore.cli import paths
from vocscore.cli.numbers import FiniteRange
from vocscore.config import ScoreConfig

Command = TypeVar("Command", bound=Callable[..., Any])


def format_options(command: Command) -> Command:
    """Where the rows go, in which format, and what they hold."""
    for option in reversed(
        (
            click.option(
                "-o",
                "--output",
                "out",
                required=True,
                metavar="FILE",
                type=paths.OUTPUT,
                help="The predictions; the name's end is the format: .csv, .parquet or .jsonl. "
                "With --format a folder.",
            ),
            click.option(
                "--format",
                "folder_format",
                type=click.Choice(["csv", "parquet", "jsonl"]),
                help="Make a folder of parts, a file a unit, that DuckDB, pandas, Polars and Spark "
                "read as one table.  [default: one file]",
            ),
            click.option(
                "--columns",
                type=click.Choice(["all", "probabilities", "labels"]),
                default=ScoreConfig.columns,
                show_default=True,
                help="What stands beside path, status and error: the probabilities of the classes, "
                "the labels (classes at or above the model's threshold), or both.",
            ),
            click.option(
                "--top-k",
                type=click.IntRange(min=1),
                metavar="K",
                help="Write only the K largest probabilities of an image; the others are empty "
                "cells, nulls, or keys left out. Labels stay.  [default: all]",
            ),
            click.option(
                "--min-probability",
                type=FiniteRange(0, 1),
                default=ScoreConfig.min_probability,
                show_default=True,
                metavar="PROBABILITY",
                help="Write only probabilities from this one on. Labels stay.",
            ),
        )
    ):
        command = option(command)
    return command
