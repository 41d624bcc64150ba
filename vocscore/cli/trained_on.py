"""Which packed pictures a run was trained on."""

from __future__ import annotations

import json
from pathlib import Path

from shards.files import read_regular
from vocscore.cli.common import KnownError


def trained_on(run: Path, *, instead: str = "Use --shards.") -> Path:
    """The shards that the config of a run names.

    Args:
        run: the folder.
        instead: what the user can do where they are not to be had.

    Raises:
        KnownError: the config names none, or they are not there.
    """
    from vocscore.models.card import CARD_FILE

    file = run / "config.json"
    if not (run / CARD_FILE).is_file():
        raise KnownError(f"{run}: no checkpoint in it (no {CARD_FILE}). Name a finished run.")
    try:
        shards = Path(json.loads(read_regular(file))["shards"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise KnownError(f"{file}: does not say what it was trained on. {instead}") from error
    if not shards.is_dir():
        raise KnownError(f"{shards}: what {run} was trained on is not there. {instead}")
    return shards
