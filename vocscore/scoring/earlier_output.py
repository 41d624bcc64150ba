"""What an earlier run left under the name of an output."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from shards.remote.places import is_remote
from vocscore.errors import ScoreError
from vocscore.scoring.inputs.units import LooseFiles
from vocscore.scoring.output.earlier import finished_record
from vocscore.scoring.output.existing import refuse_existing
from vocscore.scoring.output.features_parts import check_file, refuse_existing_features
from vocscore.scoring.output.ledger import settle
from vocscore.scoring.output.mirrored import url_of
from vocscore.scoring.output.work_folder import work_folder
from vocscore.scoring.update.reuse import loose, refuse_storage

if TYPE_CHECKING:
    from pathlib import Path

    from vocscore.config.scoring import ScoreConfig
    from vocscore.records.score_record import ScoreRecord
    from vocscore.scoring.formats.choice import Choice
    from vocscore.scoring.inputs.units import Inputs


def earlier_output(
    output: Path, choice: Choice, config: ScoreConfig, *, source: str | Path
) -> ScoreRecord | None:
    """Return the record of a finished output that is not to be replaced as a whole.

    Raises:
        ScoreError: there is one that cannot be recognized, or that cannot be updated.
    """
    update, overwrite = config.update.update, config.output.overwrite
    if update:
        refuse_storage(str(source))
    features = config.output.features
    if update and url_of(output) is not None:
        raise ScoreError(
            f"{output}: `update=True` is not supported for an output on object storage. Use "
            "`overwrite=True` to score everything again, or update a local copy."
        )
    if update and features is not None:
        raise ScoreError(
            f"{output}: `update=True` is not supported with `features`. Use `overwrite=True` "
            "without `update=True` to write both again."
        )
    if features is not None:
        check_file(features, output)
    if update and choice.folder:
        raise ScoreError(
            f"{output}: `update=True` is not supported for a folder of parts. Omit `format` and "
            "write one file."
        )
    settle(output, suffix=f".{choice.name}", folder=choice.folder)
    if update:
        return finished_record(output, folder=False, update=True)
    if work_folder(output).exists():  # only the ledger knows which run wrote it
        return None
    refuse_existing(output, overwrite=True, folder=choice.folder)
    record = None if overwrite else finished_record(output, folder=choice.folder)
    if record is None and features is not None:
        refuse_existing_features(features, overwrite=overwrite)
    return record


def stamped_inputs(inputs: Inputs, config: ScoreConfig, choice: Choice) -> Inputs:
    """Have sizes and times of loose files recorded, if the output is one file.

    Of objects they are not: each would take a request.
    """
    if isinstance(inputs, LooseFiles) and is_remote(inputs.root):
        return inputs
    if not config.update.update:
        plain = isinstance(inputs, LooseFiles) and not choice.folder
        return replace(loose(inputs), stamps="size") if plain else inputs
    return replace(loose(inputs), stamps="hash" if config.update.update_by == "hash" else "size")
