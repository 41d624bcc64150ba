"""How far images that were decoded smaller are from full decoding: the bound, on worst cases."""

from __future__ import annotations

from typing import TYPE_CHECKING

import kinds
import numpy as np
import pytest
from PIL import Image, ImageDraw
from tolerances import REDUCED, REDUCED_STRIPES, Tolerance, assert_close
from workshop import by_row, make, write

from vocscore.pipeline.preprocess import Preprocess

if TYPE_CHECKING:
    from pathlib import Path

# The error depends on how many pixels are left for one of the result and not on the size: at
# 4000x3000 for 256 an eighth leaves 1.46 and 1.95, as 1000x750 for 64 does.
SIZE = 64


def _stripes(width: int, height: int, *, period: float, slope: float = 0) -> Image.Image:
    """Black and white stripes; upright ones, or turned by `slope` radians."""
    y, x = np.mgrid[0:height, 0:width]
    phase = 2 * np.pi / period * (x * np.cos(slope) + y * np.sin(slope)) + 0.3
    return Image.fromarray(np.where(np.sin(phase) > 0, 255, 0).astype(np.uint8)).convert("RGB")


def _text(width: int, height: int) -> Image.Image:
    page = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(page)
    for line in range(0, height, 12):
        draw.text((line % 40, line), "The quick brown fox jumps over the lazy dog. " * 9, "black")
    return page


def _checkerboard(width: int, height: int) -> Image.Image:
    y, x = np.mgrid[0:height, 0:width]
    return Image.fromarray(((x + y) % 2 * 255).astype(np.uint8)).convert("RGB")


def _drawn(width: int, height: int) -> dict[str, tuple[Image.Image, Tolerance]]:
    return {
        "photograph": (kinds.photo(width, height), REDUCED),
        "checkerboard": (_checkerboard(width, height), REDUCED),
        "text": (_text(width, height), REDUCED_STRIPES),
        **{
            f"stripes {period} {slope}": (
                _stripes(width, height, period=period, slope=slope),
                REDUCED_STRIPES,
            )
            for period in (2, 3, 4.5, 5.24, 7, 9, 10.7, 12.2, 16.5, 35)
            for slope in (0, 0.785)
        },
    }


def _compare(
    folder: Path, images: dict[str, tuple[bytes, Tolerance]], *, loader: str, size: int
) -> None:
    refs = write(folder, {name: data for name, (data, _) in images.items()})
    made = {}
    for one in ("reference", loader):
        with make(one, Preprocess(size=size)) as opened:
            made[one] = by_row(opened.batches(refs))
    for row, (name, (_, allowed)) in enumerate(images.items()):
        assert_close(made[loader][row], made["reference"][row], allowed=allowed, name=name)
        assert not np.array_equal(made[loader][row], made["reference"][row]), f"{name}: not reduced"


@pytest.mark.parametrize(
    ("width", "height", "subsampling"),
    [
        (1000, 750, "4:2:0"),
        (718, 717, "4:4:4"),
        (775, 769, "4:2:0"),
        (499, 517, "4:4:4"),
        (360, 359, "4:2:0"),
    ],
)
def test_the_worst_cases_are_within_the_bound(
    tmp_path: Path, width: int, height: int, subsampling: str
) -> None:
    """Eighths and quarters, with the least room and more, and where the last block is not full."""
    images = {
        name: (kinds.encoded(image, "JPEG", quality=95, subsampling=subsampling), allowed)
        for name, (image, allowed) in _drawn(width, height).items()
    }
    _compare(tmp_path, images, loader="host", size=SIZE)


@pytest.mark.parametrize("loader", ["host", "dali"])
def test_twelve_megapixels_are_within_the_bound(tmp_path: Path, loader: str) -> None:
    """A camera's image at the usual size, by both fast loaders."""
    enlarged = kinds.photo(500, 375).resize((4000, 3000), Image.Resampling.BICUBIC)
    stripes = _stripes(4000, 3000, period=11)
    images = {
        "photograph": (kinds.encoded(enlarged, "JPEG", quality=90), REDUCED),
        "stripes": (kinds.encoded(stripes, "JPEG", quality=90), REDUCED_STRIPES),
    }
    _compare(tmp_path, images, loader=loader, size=256)


def test_large_photographs_are_within_the_bound(voc_data: Path, tmp_path: Path) -> None:
    """Mosaics of real photographs, sharp to the pixel, which few large ones are."""
    files = sorted((voc_data / "voc2012-100" / "JPEGImages").iterdir())
    images = {}
    for start in range(0, 96, 32):
        mosaic = Image.new("RGB", (4000, 1500))
        for at, file in enumerate(files[start : start + 32]):
            tile = Image.open(file).resize((500, 375))
            mosaic.paste(tile, (at % 8 * 500, at // 8 * 375))
        images[f"from {start}"] = kinds.encoded(mosaic, "JPEG", quality=90), REDUCED
    _compare(tmp_path, images, loader="host", size=128)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_reduced_image_is_turned(tmp_path: Path, orientation: int) -> None:
    """Each orientation, also where a last block that is not full comes to lie first."""
    exif = kinds.with_orientation(orientation)
    image = kinds.photo(1001, 755)
    data = {"jpeg": (kinds.encoded(image, "JPEG", quality=90, exif=exif), REDUCED)}
    _compare(tmp_path, data, loader="host", size=SIZE)


@pytest.mark.parametrize("loader", ["host", "dali", "reference"])
def test_damage_in_a_scan_that_is_not_used(tmp_path: Path, loader: str) -> None:
    """Every loader accepts it at 1/8 with the pixels of the intact file, and refuses it at 1/4."""
    intact = kinds.encoded(kinds.photo(1000, 750), "JPEG", quality=90, progressive=True)
    damaged = intact[:-2] + bytes(40) + intact[-2:]  # behind luma's last bits
    refs = write(tmp_path, {"damaged": damaged, "cut": damaged[:-2], "intact": intact})
    with make("reference", Preprocess(size=SIZE)) as opened:
        truth = by_row(opened.batches(refs[2:]))[0]
    for size, bad in ((SIZE, {1: "truncated"}), (2 * SIZE, {0: "corrupt", 1: "truncated"})):
        with make(loader, Preprocess(size=size)) as opened:
            batches = list(opened.batches(refs))
        found = {one.row: one.fault.reason.value for batch in batches for one in batch.failures}
        assert found == bad
        if size == SIZE:
            assert_close(by_row(batches)[0], truth, allowed=REDUCED, name="damaged")
