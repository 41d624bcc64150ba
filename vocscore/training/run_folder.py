"""The folder that training writes: what is in it, and when it is finished."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from shards import atomic
from vocscore.errors import TrainError
from vocscore.models.checkpoint import CARD_FILE, WEIGHTS_FILE, save_checkpoint
from vocscore.training.history import SPLITS
from vocscore.training.plots import curves

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from vocscore.models.checkpoint import ModelCard, Network
    from vocscore.training.history import EpochResult

CONFIG, HISTORY, METRICS, CURVES = "config.json", "history.csv", "metrics.json", "curves.png"
RUN_FILES = (CONFIG, HISTORY, METRICS, CURVES, WEIGHTS_FILE, CARD_FILE)


def check_room(out: Path, *, overwrite: bool) -> None:
    """Refuse a folder that a run would spoil.

    Raises:
        TrainError: a run is there already, or it is no folder.
    """
    if out.exists() and not out.is_dir():
        raise TrainError(f"{out}: is a file, and a run is a folder. Name another one with -o.")
    found = next((name for name in RUN_FILES if (out / name).exists()), None)
    if found and not overwrite:
        raise TrainError(
            f"{out}: holds a run already ({found}). Replace it with --overwrite, or name another "
            f"folder with -o."
        )


def start_run(out: Path, config: Mapping[str, object]) -> None:
    """Remove an earlier run, and nothing else, and note what this one was asked to do.

    Raises:
        OSError: the folder cannot be written.
    """
    out.mkdir(parents=True, exist_ok=True)
    for name in reversed(RUN_FILES):  # the checkpoint first: half a run must not pass for one
        (out / name).unlink(missing_ok=True)
    _write_json(out / CONFIG, config)


def finish_run(
    out: Path, network: Network, card: ModelCard, *, history: Sequence[EpochResult]
) -> None:
    """Keep the checkpoint, the last epoch's metrics and the curves.

    Raises:
        OSError: the folder cannot be written.
    """
    save_checkpoint(out, network, card)
    last = history[-1]
    figures = {split: getattr(last, split).to_json(card.classes) for split in SPLITS}
    _write_json(out / METRICS, {"epoch": last.epoch, **figures})
    curves(history, out / CURVES)


def _write_json(file: Path, value: Mapping[str, object]) -> None:
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    atomic.write(file, text.encode())
