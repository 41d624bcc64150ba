"""Whether an existing output is what a command would write: then there is nothing to do."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from vocscore.errors import RecordError, ScoreError
from vocscore.records.score_record import read_record, record_file
from vocscore.scoring.output.describe import recorded_plan
from vocscore.scoring.output.differences import differences
from vocscore.scoring.output.existing import refuse_existing

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from vocscore.records.score_record import ScoreRecord


def finished_record(output: Path, *, folder: bool, update: bool = False) -> ScoreRecord | None:
    """The record of an output that is as it was written.

    Args:
        output: path of the output.
        folder: whether it is a folder of parts.
        update: whether it is to be updated.

    Returns:
        The record; None if there is no output.

    Raises:
        ScoreError: it exists, but has no record, or another size than its record says; or a file
            with the name of its record or its stamps is another program's.
    """
    refuse_existing(output, overwrite=True, folder=folder)
    if not output.exists() or (folder and not any(output.iterdir())):
        return None
    files = sorted(output.iterdir()) if folder else [output]
    try:
        record = read_record(record_file(output))
        written = None if record is None else record.output["bytes"]
    except (RecordError, KeyError, TypeError):
        record = written = None
    if record is None or written != sum(file.stat().st_size for file in files):
        if update:
            raise ScoreError(
                f"{output}: cannot be updated: there is no record beside it that fits its size, so "
                "it is not known what it was made from. Score it once with `overwrite=True` and "
                "without `update=True`."
            )
        refuse_existing(output, overwrite=False, folder=folder)
    return record


def refuse_other(
    output: Path, record: ScoreRecord, plan: Mapping[str, Any], *, but: Collection[str] = ()
) -> None:
    """Refuse an output that another command has written.

    Args:
        output: path of the output.
        record: beside it.
        plan: of this run, or the part of it that is known so far.
        but: keys that may differ.

    Raises:
        ScoreError: it differs; the line says in what.
    """
    there = {name: value for name, value in recorded_plan(record).items() if name in plan}
    found = differences(_without(there, but), _without(plan, but))
    if record.update and record.update["kept"] and "listing" not in but:
        found.append(f"{record.update['kept']} rows of images that are gone")
    if found and but:
        raise ScoreError(
            f"{output}: cannot be updated, because it differs in {', '.join(found)}. Use the same "
            "settings, or `overwrite=True` without `update=True` to score everything again."
        )
    if found:
        raise ScoreError(
            f"{output}: already exists and differs in {', '.join(found)}. Use `overwrite=True` to "
            "replace it, or choose another one with `output`."
        )


def _without(plan: Mapping[str, Any], keys: Collection[str]) -> dict[str, Any]:
    """Return the plan as JSON has it: with lists for tuples."""
    kept = {name: value for name, value in plan.items() if name not in keys}
    value: dict[str, Any] = json.loads(json.dumps(kept))
    return value
