"""Images that an exported network is held against its checkpoint on."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from shards.paths import is_image
from shards.reader import load_split
from shards.sample import ImageRef
from shards.synthetic.voc import draw_voc
from vocscore.errors import ExportError
from vocscore.exporting.measured_on import trained_on, validated_on

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from vocscore.config.exporting import CheckConfig


def found_below(folder: Path, *, most: int) -> tuple[ImageRef, ...]:
    """The first images of a folder and those in it, by their paths.

    Raises:
        ExportError: there are none.
    """
    files = sorted(file for file in folder.rglob("*") if is_image(file.name))
    if not files:
        raise ExportError(f"{folder}: no images in it. Name another folder with --images.")
    return tuple(ImageRef(str(file.relative_to(folder)), str(file)) for file in files[:most])


def drawn_in(folder: Path, *, number: int) -> tuple[ImageRef, ...]:
    """Draw images into a folder that is the caller's to remove."""
    return found_below(draw_voc(folder, images=number) / "JPEGImages", most=number)


@contextmanager
def images_to_check(
    checkpoint: Path, check: CheckConfig
) -> Iterator[tuple[Sequence[ImageRef], str]]:
    """What to check with, and what to call it; drawn images are gone when the block ends."""
    most = check.check_images
    if check.drawn:
        with TemporaryDirectory(prefix="vocscore-") as place:
            yield drawn_in(Path(place), number=most), "drawn"
        return
    if check.images is not None:
        yield found_below(check.images, most=most), "a folder of images"
        return
    shards = check.shards or trained_on(checkpoint, instead="Give {shards}, {images} or {drawn}.")
    split = check.split or validated_on(checkpoint, shards)
    yield load_split(shards, split).images[:most], f"split {split!r} of the shards"
