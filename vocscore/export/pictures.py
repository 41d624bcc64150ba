"""Pictures that an exported network is held against its checkpoint on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shards.drawing.drawn import draw_voc
from shards.paths import is_picture
from shards.sample import PictureRef
from vocscore.errors import ExportError

if TYPE_CHECKING:
    from pathlib import Path


def found_below(folder: Path, *, most: int) -> tuple[PictureRef, ...]:
    """The first pictures of a folder and those in it, by their paths.

    Raises:
        ExportError: there are none.
    """
    files = sorted(file for file in folder.rglob("*") if is_picture(file.name))
    if not files:
        raise ExportError(f"{folder}: no pictures in it. Name another folder with --images.")
    return tuple(PictureRef(str(file.relative_to(folder)), str(file)) for file in files[:most])


def drawn_in(folder: Path, *, number: int) -> tuple[PictureRef, ...]:
    """Draw pictures into a folder that is the caller's to remove."""
    return found_below(draw_voc(folder, pictures=number) / "JPEGImages", most=number)
