"""Images for comparing a model with its original."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shards.paths import is_image
from shards.sample import ImageRef
from shards.synthetic.voc import draw_voc
from vocscore.errors import ExportError

if TYPE_CHECKING:
    from pathlib import Path


def found_below(folder: Path, *, most: int) -> tuple[ImageRef, ...]:
    """Return the first images in a folder and its subfolders, sorted by path.

    Raises:
        ExportError: there are none.
    """
    files = sorted(file for file in folder.rglob("*") if is_image(file.name))
    if not files:
        raise ExportError(f"{folder}: contains no images. Name another folder with `images`.")
    return tuple(ImageRef(str(file.relative_to(folder)), str(file)) for file in files[:most])


def drawn_in(folder: Path, *, number: int) -> tuple[ImageRef, ...]:
    """Draw images into a folder; the caller removes it."""
    return found_below(draw_voc(folder, images=number) / "JPEGImages", most=number)
