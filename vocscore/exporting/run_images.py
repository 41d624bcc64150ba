"""The packed images of a run: the shards that it was trained on and its validation split."""

from __future__ import annotations

import json
from pathlib import Path

from shards.files import read_regular
from shards.manifest import read_manifest
from vocscore.errors import ExportError, OptionError
from vocscore.models.card import CARD_FILE
from vocscore.records.trained_on import CONFIG, read_trained_on


def trained_on(run: Path, *, instead: str) -> Path:
    """The shards that a run's config names.

    Args:
        run: the folder.
        instead: the hint if they cannot be found.

    Raises:
        ExportError: it is not a finished run.
        OptionError: the config names no shards, or they do not exist.
    """
    file = run / CONFIG
    if not (run / CARD_FILE).is_file():
        raise ExportError(f"{run}: contains no checkpoint (no {CARD_FILE}). Name a finished run.")
    try:
        shards = Path(json.loads(read_regular(file))["shards"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise OptionError(f"{file}: does not name its training data. {instead}") from error
    told = read_trained_on(run)
    if not shards.is_dir() and told is not None:
        shards = Path(told.shards)  # absolute: the run may be used from another folder
    if not shards.is_dir():
        raise OptionError(f"{shards}: the training data of {run} is missing. {instead}")
    return shards


def validated_on(run: Path, shards: Path) -> str:
    """The split that a run was validated on; 'val' if it does not say.

    Args:
        run: the folder.
        shards: a packed dataset.

    Raises:
        Error: the shards cannot be read.
    """
    told = read_trained_on(run)
    if told is None or not set(told.val_splits) <= set(read_manifest(shards).splits):
        return "val"
    return ",".join(told.val_splits)
