"""The images to measure on: real ones if available, otherwise drawn ones like VOC's."""

from __future__ import annotations

import io
import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from shards.sample import ImageRef
from shards.synthetic.voc import draw_photo

if TYPE_CHECKING:
    from collections.abc import Iterable

KINDS = ("voc", "large", "mosaic", "progressive", "medium", "thumbnails", "png", "resized")
"""VOC photographs (real or drawn), drawn ones of 12 megapixels, mosaics of 64 photographs in as
many, the same as progressive JPEG, photographs enlarged to 2048x1536 (decoded at 1/4), 120x90 ones,
PNG, and 256x256 JPEG."""

_DRAWN_VOC = 20
_DRAWN_LARGE = 4  # each takes seconds to draw
_LARGE, _LARGE_QUALITY = (4000, 3000), 88
"""JPEG quality of a drawn 12-megapixel image: about 3 MB, as from a camera."""
_MOSAICS, _MOSAIC_QUALITY = 4, 85  # about 3 MB each
_SAME_FILE = 10_000
"""Images beyond this number are hard links to earlier ones. `tar` would store links as links, so
smaller sets have none."""
_SIZES = {"medium": (2048, 1536), "thumbnails": (120, 90), "resized": (256, 256)}


@dataclass(frozen=True)
class ImageSet:
    """A folder of images.

    Attributes:
        folder: contains nothing else.
        kind: one of `KINDS`.
        made_of: a description for the results.
        refs: the images, in the order of their names.
    """

    folder: Path
    kind: str
    made_of: str
    refs: list[ImageRef]

    @property
    def key(self) -> dict[str, str]:
        """The key of outcomes on this kind."""
        return {"kind": self.kind}

    @property
    def facts(self) -> dict[str, object]:
        """The facts of outcomes on these images."""
        return {"pictures": self.made_of}


def real_voc() -> Path:
    """The tree of 100 photographs, which may be absent, in VOCSCORE_DATA or beside the checkout."""
    beside = Path(__file__).parents[2] / "shared" / "data"
    return Path(os.environ.get("VOCSCORE_DATA", beside)) / "voc2012-100"


def make_images(folder: Path, *, number: int, kind: str = "voc") -> ImageSet:
    """Make a folder of images of one kind: a few different ones, repeated under new names."""
    different, made_of = _different(kind)
    suffix = ".png" if kind == "png" else ".jpg"
    folder.mkdir(parents=True)
    files = [folder / f"{row:06d}{suffix}" for row in range(number)]
    for row, file in enumerate(files):
        if row < _SAME_FILE:
            file.write_bytes(different[row % len(different)])
        else:
            file.hardlink_to(files[row % _SAME_FILE])
    size = sum(map(len, different)) / len(different) / 1e3
    refs = [ImageRef(file.name, str(file)) for file in files]
    return ImageSet(folder, kind, f"{made_of}, {size:.0f} KB on average, repeated", refs)


def linked(folder: Path, refs: Iterable[ImageRef]) -> Path:
    """A folder of hard links to images, in their order; an image may come several times."""
    folder.mkdir(parents=True)
    for row, file in enumerate(Path(ref.file) for ref in refs):
        (folder / f"{row:06d}{file.suffix}").hardlink_to(file)
    return folder


@lru_cache(maxsize=len(KINDS))
def _different(kind: str) -> tuple[tuple[bytes, ...], str]:
    """The different images of a kind, and their description."""
    if kind == "large":
        drawn = (
            draw_photo(*_LARGE, seed=seed, quality=_LARGE_QUALITY) for seed in range(_DRAWN_LARGE)
        )
        return tuple(drawn), "{} drawn {}x{} JPEGs".format(_DRAWN_LARGE, *_LARGE)
    photos, named = _voc()
    if kind == "voc":
        return photos, f"{named} (JPEG)"
    if kind in ("mosaic", "progressive"):
        made = tuple(_mosaic(photos, at, kind == "progressive") for at in range(_MOSAICS))
        form = "progressive JPEG" if kind == "progressive" else "baseline JPEG"
        return made, f"{_MOSAICS} mosaics, 4000x3000, of {named} ({form}, 4:2:0)"
    if kind in _SIZES:
        small = tuple(_encoded(photo, "JPEG", size=_SIZES[kind]) for photo in photos)
        return small, "{} at {}x{} (JPEG)".format(named, *_SIZES[kind])
    if kind == "png":
        return tuple(_encoded(photo, "PNG") for photo in photos), f"{named} (PNG)"
    raise ValueError(f"{kind!r} is not one of {KINDS}")


def _voc() -> tuple[tuple[bytes, ...], str]:
    real = real_voc() / "JPEGImages"
    if real.is_dir():
        photos = tuple(file.read_bytes() for file in sorted(real.glob("*.jpg")))
        return photos, f"{len(photos)} real VOC photographs"
    drawn = tuple(draw_photo(500, 375, seed=seed) for seed in range(_DRAWN_VOC))
    return drawn, f"{_DRAWN_VOC} drawn 500x375 images"


def _mosaic(photos: tuple[bytes, ...], number: int, progressive: bool) -> bytes:
    """Eight by eight photographs: 12 megapixels that are as sharp as small photographs are."""
    mosaic = Image.new("RGB", (4000, 3000))
    for at in range(64):
        with Image.open(io.BytesIO(photos[(number * 23 + at) % len(photos)])) as opened:
            tile = opened.convert("RGB").resize((500, 375), Image.Resampling.BICUBIC)
        mosaic.paste(tile, (at % 8 * 500, at // 8 * 375))
    buffer = io.BytesIO()
    mosaic.save(buffer, "JPEG", quality=_MOSAIC_QUALITY, progressive=progressive)
    return buffer.getvalue()


def _encoded(photo: bytes, form: str, *, size: tuple[int, int] | None = None) -> bytes:
    """The image in another format, and resized if a size is given."""
    with Image.open(io.BytesIO(photo)) as opened:
        image = opened.convert("RGB")
    if size:
        image = image.resize(size, Image.Resampling.BILINEAR)
    buffer = io.BytesIO()
    image.save(buffer, form)
    return buffer.getvalue()
