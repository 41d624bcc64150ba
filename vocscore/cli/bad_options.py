"""The options of `vocscore score` that say what is an input, and what is done about bad ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from vocscore.cli import paths
from vocscore.cli.numbers import FiniteRange
from vocscore.config import ScoreConfig

if TYPE_CHECKING:
    from vocscore.cli.common import Command


def input_options(command: Command) -> Command:
    """Let the user choose among the inputs, and deal with the bad ones."""
    for option in (
        click.option(
            "--quarantine",
            metavar="DIR",
            type=paths.new_folder("copies of bad inputs"),
            help="Copy the bytes of every bad input below DIR (outside SRC), in folders as they "
            "were, with DIR/quarantine.csv: path, reason, detail, copy. May be added when a "
            "stopped run goes on.",
        ),
        click.option(
            "--max-bad",
            type=FiniteRange(0, 1),
            default=ScoreConfig.max_bad,
            metavar="FRACTION",
            help="Stop with exit code 3 when more than this share of the inputs so far is bad; "
            "judged after every unit from 1,000 inputs on, and at the end. Finished units are "
            "kept: the same command with a higher FRACTION goes on.  [default: never]",
        ),
        click.option(
            "--exclude",
            multiple=True,
            metavar="GLOB",
            help="Leave these out, included or not; may be repeated. A tar whose own path matches "
            "is left out whole.",
        ),
        click.option(
            "--include",
            multiple=True,
            metavar="GLOB",
            help="Score only images whose whole path, as it stands in the output (in a tar: "
            "TAR/MEMBER, in packed shards the path before packing), matches; case counts, '*' "
            "matches '/' too: '*.png', 'cats/*'. May be repeated: one has to match.  "
            "[default: all]",
        ),
    ):
        command = option(command)
    return command
