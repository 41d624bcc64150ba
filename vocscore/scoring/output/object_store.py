"""Opens the store for parts of an output on object storage."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vocscore.scoring.output.mark_store import MarkStore
from vocscore.scoring.output.mirrored import url_of
from vocscore.scoring.output.object_files import ObjectFiles
from vocscore.scoring.output.object_publisher import ObjectPublisher
from vocscore.scoring.output.work_folder import work_folder

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def object_store(
    output: Path,
    *,
    suffix: str,
    folder: bool,
    features_file: Path | None,
    wanted: Callable[[int], bool] = lambda _number: True,
) -> MarkStore | None:
    """Open the store; None for an output on a file system.

    One process commits there as several do, by marks: storage has no locks.

    Args:
        output: the future output.
        suffix: suffix of the parts.
        folder: keep the parts as the output instead of joining them.
        features_file: must be None.
        wanted: the units whose records are read.

    Raises:
        ScoreError: features are wanted.
    """
    if url_of(output) is None:
        return None
    return MarkStore(
        ObjectFiles(str(work_folder(output))),
        ObjectPublisher(output, suffix=suffix, folder=folder, features=features_file),
        place=str(output),
        suffix=suffix,
        wanted=wanted,
    )
