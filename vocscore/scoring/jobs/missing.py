"""Says which units of jobs are missing, and how to score them; and which ones differ."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from vocscore.config.jobs import ANY
from vocscore.errors import UnfinishedError
from vocscore.scoring.jobs.share import SLURM, array_expression, with_units

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from pathlib import Path

    from vocscore.scoring.output.mark_store import MarkStore

_MOST = 10
"""Pieces of a list of units in a message."""


def unfinished(
    store: MarkStore, output: Path, missing: Collection[int], units: int, *, damaged: bool = False
) -> UnfinishedError:
    """Describe what is missing.

    Args:
        store: of the run, whose plan has been read.
        output: as the jobs named it.
        missing: numbers of units.
        units: their number.
        damaged: whether they were there, but are not as they were stored.
    """
    what = "are damaged or gone, and have to be scored again" if damaged else "are not scored yet"
    line = f"{output}: {len(missing)} of {units} units {what}: {_listed(missing)}."
    array = store.run.array()
    if array is not None:
        shares = {number % array["of"] for number in missing}
        plain = array_expression(shares)
        line += f" Of the {array['of']} jobs: --array={plain} (`units='I/{array['of']}'`)."
        ids = array_expression(shares, first=array["first"], step=array["step"])
        if ids != plain:
            line += f" In the numbers of {array['variable']}: {ids}."
        if array["variable"] == SLURM:
            line = line.replace(f"--array={plain}", f"--array={ids}").replace(
                f" In the numbers of {SLURM}: {ids}.", ""
            )
    return UnfinishedError(f"{line} {_command(store)}")


def different(numbers: Iterable[int]) -> tuple[str, ...]:
    """Say for which units two jobs wrote different bytes; nothing if there are none."""
    units = ", ".join(map(str, sorted(numbers)))
    if not units:
        return ()
    line = (
        f"units {units}: another job had committed them with other bytes, which stand. Are the "
        "machines and their libraries alike?"
    )
    return (line,)


def _listed(units: Collection[int]) -> str:
    pieces = array_expression(units, first=0).split(",")
    more = len(pieces) - _MOST
    return ", ".join(pieces[:_MOST]) + (f" and {more} more" if more > 0 else "")


def _command(store: MarkStore) -> str:
    """The command that scores them in one process."""
    try:
        command = json.loads(store.run.started())["command"]
    except (FileNotFoundError, ValueError, KeyError):
        command = None
    if command is None:
        return "Rerun those jobs, or one with `units='any'`, which scores whatever is left."
    return f"Rerun those jobs, or score whatever is left with: {with_units(command, ANY)}"
