"""The packed images that a run was trained and validated on."""

from __future__ import annotations

import json
from pathlib import Path

from shards.files import read_regular
from shards.manifest import read_manifest
from vocscore.errors import ExportError, OptionError
from vocscore.models.card import CARD_FILE
from vocscore.records.trained_on import CONFIG, read_trained_on


def trained_on(run: Path, *, instead: str) -> Path:
    """The shards that the config of a run names.

    Args:
        run: the folder.
        instead: what helps where they cannot be found; `{name}` stands for an option.

    Raises:
        ExportError: it is no finished run.
        OptionError: the config names no shards, or they are not there.
    """
    file = run / CONFIG
    if not (run / CARD_FILE).is_file():
        raise ExportError(f"{run}: no checkpoint in it (no {CARD_FILE}). Name a finished run.")
    try:
        shards = Path(json.loads(read_regular(file))["shards"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        line = f"{{file}}: does not say what it was trained on. {instead}"
        raise OptionError(line, file=file) from error
    told = read_trained_on(run)
    if not shards.is_dir() and told is not None:
        shards = Path(told.shards)  # absolute: the run may be used from another folder
    if not shards.is_dir():
        line = f"{{folder}}: what {{run}} was trained on is not there. {instead}"
        raise OptionError(line, folder=shards, run=run)
    return shards


def validated_on(run: Path, shards: Path) -> str:
    """The split of a set that a run was validated on; 'val' where it does not say.

    Args:
        run: the folder.
        shards: a packed set.

    Raises:
        Error: the set cannot be read.
    """
    told = read_trained_on(run)
    if told is None or not set(told.val_splits) <= set(read_manifest(shards).splits):
        return "val"
    return ",".join(told.val_splits)
