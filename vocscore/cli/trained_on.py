"""Which packed images a run was trained and validated on."""

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
    from vocscore.records.trained_on import CONFIG, read_trained_on

    file = run / CONFIG
    if not (run / CARD_FILE).is_file():
        raise KnownError(f"{run}: no checkpoint in it (no {CARD_FILE}). Name a finished run.")
    try:
        shards = Path(json.loads(read_regular(file))["shards"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise KnownError(f"{file}: does not say what it was trained on. {instead}") from error
    told = read_trained_on(run)
    if not shards.is_dir() and told is not None:
        shards = Path(told.shards)  # absolute: the run may be used from another folder
    if not shards.is_dir():
        raise KnownError(f"{shards}: what {run} was trained on is not there. {instead}")
    return shards


def validated_on(run: Path, shards: Path) -> str:
    """The split of a set that a run was validated on; 'val' where it does not say.

    Args:
        run: the folder.
        shards: a packed set.

    Raises:
        Error: the set cannot be read.
    """
    from shards.manifest import read_manifest
    from vocscore.records.trained_on import read_trained_on

    told = read_trained_on(run)
    if told is None or not set(told.val_splits) <= set(read_manifest(shards).splits):
        return "val"
    return ",".join(told.val_splits)


def seen_line(run: Path, shards: Path, split: str) -> str:
    """How many images of a split the run was trained on, for beside figures on it.

    Args:
        run: the folder.
        shards: a packed set.
        split: names with ',' between.

    Raises:
        Error: the set cannot be read.
    """
    from shards.manifest import read_manifest
    from vocscore.evaluation.labeled import load_labeled
    from vocscore.evaluation.seen import find_seen, run_origin
    from vocscore.records.trained_on import split_names

    labeled = load_labeled(shards, split_names(split))
    seen = find_seen(labeled, shards, read_manifest(shards), run_origin(run))
    trained, images = int(seen.trained.sum()), len(labeled.names)
    assumed = ", by the names of splits" if seen.known_by == "assumption" else ""
    if trained:
        return f"NOT HELD OUT: {trained} of these {images} images were trained on{assumed}"
    return f"none of these {images} images was trained on{assumed}"
