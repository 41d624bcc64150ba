"""The folder of a new run: whether it may be written, and how the files get there."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from shards import atomic
from vocscore.errors import ImportModelError
from vocscore.models.card import CARD_FILE
from vocscore.runtime.int8 import FOLDER as INT8
from vocscore.training.run_folder import RUN_FILES

if TYPE_CHECKING:
    from pathlib import Path

FILES = (*RUN_FILES, "model.onnx")
"""Files of a run that an import replaces; others stay."""


def check_place(out: Path, *, file: Path, overwrite: bool) -> None:
    """Refuse a folder that holds something else.

    Args:
        out: the new run's folder.
        file: what is imported.
        overwrite: whether a run in it may be replaced.

    Raises:
        ImportModelError: it holds a run, or what is imported, or it is not a folder.
    """
    if out.exists() and not out.is_dir():
        raise ImportModelError(f"{out}: is a file, not a folder. Name another one with `output`.")
    inside = file if file.is_dir() else file.parent
    if out.exists() and inside.exists() and out.samefile(inside):
        raise ImportModelError(
            f"{out}: holds the model that is imported. Name another folder with `output`."
        )
    found = next((name for name in FILES if (out / name).exists()), None)
    if found and not overwrite:
        raise ImportModelError(
            f"{out}: already holds a run ({found}). Replace it with `overwrite=True`, or name "
            "another folder with `output`."
        )


def publish(made: Path, out: Path) -> None:
    """Move the files of a run to its folder; those of an earlier run are removed first.

    Args:
        made: a folder beside it with the files.
        out: the run's folder; made if it is not there.

    Raises:
        OSError: it cannot be written.
    """
    out.mkdir(parents=True, exist_ok=True)
    # the card is the first to go and the last to come: half a run must not pass for a whole one
    for name in sorted(FILES, key=lambda name: name != CARD_FILE):
        (out / name).unlink(missing_ok=True)
    shutil.rmtree(out / INT8, ignore_errors=True)
    for file in sorted(made.iterdir(), key=lambda file: file.name == CARD_FILE):
        atomic.move(file, out / file.name)
