"""Opens where the parts of jobs lie."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vocscore.scoring.output.mark_store import MarkStore
from vocscore.scoring.output.object_store import object_store
from vocscore.scoring.output.posix_files import PosixFiles
from vocscore.scoring.output.posix_publisher import PosixPublisher
from vocscore.scoring.output.work_folder import work_folder

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def open_store(
    output: Path,
    *,
    suffix: str = ".csv",
    folder: bool = False,
    features_file: Path | None = None,
    wanted: Callable[[int], bool] = lambda _number: True,
) -> MarkStore:
    """Open the store beside an output; nothing is made.

    Args:
        output: the future file or folder.
        suffix: suffix of the parts.
        folder: keep the parts as the output instead of joining them.
        features_file: the file for features; None: none. Their format is `MarkStore.features`.
        wanted: the units whose records are read.
    """
    remote = object_store(
        output, suffix=suffix, folder=folder, features_file=features_file, wanted=wanted
    )
    if remote is not None:
        return remote
    publisher = PosixPublisher(output, suffix=suffix, folder=folder, features=features_file)
    return MarkStore(
        PosixFiles(work_folder(output)),
        publisher,
        place=str(output),
        suffix=suffix,
        wanted=wanted,
    )
