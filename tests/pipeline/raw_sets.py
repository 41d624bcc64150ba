"""Images of every kind, packed as they are and as raw images."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kinds import encoded, photo, with_orientation

from shards.packing.pack import pack
from shards.sample import AnnotatedSet, Sample
from vocscore.pipeline.raw import form_of
from vocscore.pipeline.raw_maker import HostRawMaker

if TYPE_CHECKING:
    from pathlib import Path

    from vocscore.pipeline.preprocess import Preprocess

IMAGES = {
    "0.jpg": encoded(photo(), "JPEG", quality=95),
    "1.jpg": encoded(photo(), "JPEG", quality=95, exif=with_orientation(6)),
    "2.jpg": encoded(photo().convert("L"), "JPEG", quality=95),
    "3.jpg": encoded(photo().convert("CMYK"), "JPEG", quality=95),
    "4.png": encoded(photo(), "PNG"),
    "5.jpg": encoded(photo(1500, 1100), "JPEG", quality=95, exif=with_orientation(5)),
    "6.webp": encoded(photo(40, 300), "WEBP"),
    "7.jpg": encoded(photo(300, 20), "JPEG"),
    "8.jpg": encoded(photo(31, 17), "JPEG"),
    "9.jpg": b"no image",
}
GOOD = len(IMAGES) - 1
MAX_PIXELS = 50_000_000


def written(folder: Path) -> AnnotatedSet:
    folder.mkdir()
    for name, data in IMAGES.items():
        (folder / name).write_bytes(data)
    samples = tuple(Sample(name, ("cat", "dog")[at % 2 :]) for at, name in enumerate(IMAGES))
    return AnnotatedSet(folder, samples)


def pack_raw(
    images: AnnotatedSet, out: Path, preprocess: Preprocess, *, workers: int = 2, shard: int = 100
) -> Path:
    maker = HostRawMaker(form_of(preprocess), MAX_PIXELS)
    _pack(images, out, raw=maker, workers=workers, shard_samples=shard, resize=preprocess.size)
    return out


def pack_whole(images: AnnotatedSet, out: Path) -> Path:
    _pack(images, out, raw=None, workers=2, shard_samples=100, resize=None)
    return out


def _pack(
    images: AnnotatedSet,
    out: Path,
    *,
    raw: HostRawMaker | None,
    workers: int,
    shard_samples: int,
    resize: int | None,
) -> None:
    pack(
        images,
        {"train": images.samples},
        out,
        classes=("cat", "dog"),
        shard_samples=shard_samples,
        verify=True,
        max_bad=0.5,
        max_pixels=MAX_PIXELS,
        resize=resize,
        quality=95,
        workers=workers,
        overwrite=False,
        settings={},
        raw=raw,
    )
