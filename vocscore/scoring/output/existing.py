"""Refuses an output that exists and must not be replaced."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vocscore.errors import ScoreError
from vocscore.records.input_stamps import is_stamps, stamps_file
from vocscore.records.score_record import is_record, record_file
from vocscore.scoring.output import part_folder

if TYPE_CHECKING:
    from pathlib import Path


def refuse_existing(output: Path, *, overwrite: bool, folder: bool = False) -> None:
    """Raise if an output exists that must not be replaced.

    Args:
        output: path of the output.
        overwrite: whether an existing output may be replaced.
        folder: whether the output is a folder of parts.

    Raises:
        ScoreError: it exists and must not be overwritten, or cannot be; or another file has the
            name of its record.
    """
    beside = record_file(output)
    if (beside.exists() or beside.is_symlink()) and not is_record(beside):
        raise ScoreError(
            f"{beside}: not a record of predictions, but the record has to be written there. Move "
            "it away, or choose another output with `output`."
        )
    if folder:
        part_folder.refuse_existing_folder(output, overwrite=overwrite)
        return
    if output.is_dir():
        raise ScoreError(f"{output}: a folder. Name a file with `output`.")
    stamps = stamps_file(output)
    if (stamps.exists() or stamps.is_symlink()) and not is_stamps(stamps):
        raise ScoreError(
            f"{stamps}: not what is known of scored images, but that has to be written there. Move "
            "it away, or choose another output with `output`."
        )
    if output.exists() and not overwrite:
        raise ScoreError(
            f"{output}: already exists. Use `overwrite=True` to replace it, or choose another file "
            "with `output`."
        )
