"""The pictures that are measured on: real ones where there are any, else drawn like VOC's."""

from __future__ import annotations

import os
from pathlib import Path

from shards.drawing.drawn import draw_photo
from shards.sample import PictureRef

DEFAULT_REAL = Path(__file__).parents[2] / "shared" / "data"


def real_pictures() -> Path | None:
    """The folder of real VOC photographs, by VOCSCORE_DATA or beside the checkout."""
    folder = Path(os.environ.get("VOCSCORE_DATA", DEFAULT_REAL)) / "voc2012-100" / "JPEGImages"
    return folder if folder.is_dir() else None


def fill_folder(folder: Path, *, pictures: int) -> str:
    """Make a folder of JPEG files of VOC's size and weight.

    Args:
        folder: made here.
        pictures: how many; few different ones are repeated, each under its own name.

    Returns:
        What they are, for the results.
    """
    real = real_pictures()
    if real:
        sources = [file.read_bytes() for file in sorted(real.glob("*.jpg"))]
    else:
        sources = [draw_photo(500, 375, seed=seed) for seed in range(20)]
    folder.mkdir(parents=True)
    for number in range(pictures):
        (folder / f"{number:06d}.jpg").write_bytes(sources[number % len(sources)])
    return (
        f"{len(sources)} {'real VOC photographs' if real else 'drawn 500x375 pictures'}, repeated"
    )


def refs(folder: Path) -> list[PictureRef]:
    """The folder's pictures as the makers take them."""
    return [PictureRef(file.name, str(file)) for file in sorted(folder.glob("*.jpg"))]
