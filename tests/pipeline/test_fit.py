"""Fits and interpolations: torchvision's transforms and Pillow are the oracles."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import kinds
import numpy as np
import pytest
import torch
from PIL import Image
from tolerances import FITTED_REDUCED, assert_close, fitted_tolerance
from torchvision.transforms import v2
from workshop import FITTED, by_row, make, write

from shards.images import image_file, jpeg
from shards.sample import ImageRef
from vocscore.pipeline import batching, host
from vocscore.pipeline.geometry import place, resized_side
from vocscore.pipeline.preprocess import Preprocess

if TYPE_CHECKING:
    from pathlib import Path

LOADERS = {"host": "host", "dali": "dali cpu"}
SHAPES = [(1, 1), (1, 40), (40, 1), (47, 61), (300, 200), (201, 300), (64, 64), (37, 290)]


def fitted(pixels: np.ndarray, preprocess: Preprocess, orientation: int = 1) -> torch.Tensor:
    """Decoded pixels, shape (H, W, 3), as the host path fits them: (3, size, size)."""
    out = batching.empty_images(1, preprocess.size)[0]
    height, width = pixels.shape[:2]
    whole = image_file.Decoded(pixels, width, height, reduced=1, orientation=orientation)
    host.fit(whole, preprocess, out=out)
    host.turn(out[None], [orientation])
    return out


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(height * width).integers(0, 256, (height, width, 3), np.uint8)


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize(("size", "fraction"), [(64, 0.875), (31, 0.9), (32, 1.0)])
@pytest.mark.parametrize("shape", [shape for shape in SHAPES if max(shape) <= 8 * min(shape)])
def test_crop_is_torchvisions_resize_and_center_crop(
    shape: tuple[int, int], size: int, fraction: float, interpolation: str
) -> None:
    """For sides up to eight times as long as the other; of longer ones the middle is used."""
    pixels = noise(*shape)
    way = v2.InterpolationMode(interpolation)
    theirs = v2.Compose(
        [
            v2.Resize(math.floor(size / fraction), interpolation=way, antialias=True),
            v2.CenterCrop(size),
        ]
    )
    want = theirs(torch.from_numpy(pixels).permute(2, 0, 1).contiguous())
    preprocess = Preprocess(
        size=size, fit="crop", interpolation=interpolation, crop_fraction=fraction
    )
    difference = (fitted(pixels, preprocess).int() - want.int()).abs()
    assert difference.max() <= 1  # torch's kernels for other memory formats round differently
    assert difference.float().mean() < 0.01


@pytest.mark.parametrize("shape", SHAPES)
def test_pad_is_a_centered_resize_on_a_color(shape: tuple[int, int]) -> None:
    """Pillow's `ImageOps.contain` has the same inner size, up to a pixel; the rest is the color."""
    color = (9, 200, 77)
    preprocess = Preprocess(size=48, fit="pad", pad_color=color)
    got = fitted(np.full((*shape, 3), 255, np.uint8), preprocess).numpy()
    inside = (got == 255).all(axis=0)
    rows, columns = (np.flatnonzero(inside.any(axis=axis)) for axis in (1, 0))
    height, width = shape
    long = max(shape)
    assert len(rows) == max(1, round(48 * height / long))
    assert len(columns) == max(1, round(48 * width / long))
    assert inside[np.ix_(rows, columns)].all()
    assert rows[0] == (48 - len(rows)) // 2
    assert columns[0] == (48 - len(columns)) // 2
    assert (got[:, ~inside] == np.array(color)[:, None]).all()


@pytest.mark.parametrize("way", FITTED)
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_and_fit_commute(way: str, orientation: int) -> None:
    """A turned file has the pixels of the upright one, also where margins are odd."""
    upright = (
        noise(61, 90) // 4 + 96
    )  # nothing is cut at 0 and 255, which the passes' order changes
    stored = np.array(_untransposed(Image.fromarray(upright), orientation))
    got = fitted(np.ascontiguousarray(stored), FITTED[way], orientation).int()
    assert (got - fitted(upright, FITTED[way]).int()).abs().max() <= 1


def _untransposed(image: Image.Image, orientation: int) -> Image.Image:
    ways = Image.Transpose
    inverse = {
        2: ways.FLIP_LEFT_RIGHT,
        3: ways.ROTATE_180,
        4: ways.FLIP_TOP_BOTTOM,
        5: ways.TRANSPOSE,
        6: ways.ROTATE_90,
        7: ways.TRANSVERSE,
        8: ways.ROTATE_270,
    }
    return image.transpose(inverse[orientation]) if orientation > 1 else image


@pytest.fixture(scope="module", params=FITTED)
def drawn(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, dict[str, dict[int, np.ndarray]]]:
    """Every drawn kind by every loader."""
    refs = write(tmp_path_factory.mktemp("fitted"), kinds.good())
    found = {name: _all(name, refs, FITTED[request.param]) for name in ("reference", *LOADERS)}
    return request.param, found


def _all(name: str, refs: list[ImageRef], preprocess: Preprocess) -> dict[int, np.ndarray]:
    with make(name, preprocess) as loader:
        return by_row(loader.batches(refs))


@pytest.mark.parametrize("loader", LOADERS)
def test_drawn_kinds_agree_with_the_reference(
    drawn: tuple[str, dict[str, dict[int, np.ndarray]]], loader: str
) -> None:
    """Every kind of image comes out of every loader as Pillow would make it."""
    way, found = drawn
    assert found[loader].keys() == found["reference"].keys()
    for row, name in enumerate(kinds.good()):
        allowed = fitted_tolerance(LOADERS[loader], name, FITTED[way])
        assert_close(found[loader][row], found["reference"][row], allowed=allowed, name=name)


@pytest.mark.parametrize("loader", LOADERS)
@pytest.mark.parametrize("way", FITTED)
def test_photographs_agree_with_the_reference(voc_data: Path, loader: str, way: str) -> None:
    """Real photographs come out of every loader as Pillow would make them."""
    files = sorted((voc_data / "voc2012-100" / "JPEGImages").iterdir())[:10]
    refs = [ImageRef(file.name, str(file)) for file in files]
    truth, got = (_all(name, refs, FITTED[way]) for name in ("reference", loader))
    for row, ref in enumerate(refs):
        allowed = fitted_tolerance(LOADERS[loader], "jpeg", FITTED[way])
        head = image_file.probe(files[row].read_bytes())
        if _reduced(head, FITTED[way]):
            allowed = FITTED_REDUCED
        assert_close(got[row], truth[row], allowed=allowed, name=ref.name)


@pytest.mark.parametrize("loader", LOADERS)
@pytest.mark.parametrize("way", FITTED)
def test_odd_files_agree_with_the_reference(odd: Path, loader: str, way: str) -> None:
    """Odd but genuine files are decoded, or refused for the same reason, by every loader."""
    files = sorted(f for f in odd.glob("*/*") if "LICENSE" not in f.name)
    refs = [ImageRef(file.name, str(file)) for file in files]
    outcomes = {}
    for name in ("reference", loader):
        with make(name, FITTED[way]) as opened:
            batches = list(opened.batches(refs))
        outcomes[name] = by_row(batches), {f.row: f.fault for b in batches for f in b.failures}
    (truth, bad), (got, refused) = outcomes["reference"], outcomes[loader]
    assert refused == bad
    assert got.keys() == truth.keys()
    for row, pixels in truth.items():
        head = image_file.probe(files[row].read_bytes())
        allowed = fitted_tolerance(LOADERS[loader], "jpeg", FITTED[way])
        if _reduced(head, FITTED[way]):
            allowed = FITTED_REDUCED
        assert_close(got[row], pixels, allowed=allowed, name=refs[row].name)


def _reduced(head: image_file.Header, preprocess: Preprocess) -> bool:
    side, longer = resized_side(preprocess), preprocess.fit == "pad"
    found = jpeg.reduction(head.width, head.height, side=side, of_longer=longer)
    return head.format == "JPEG" and found > 1


@pytest.mark.parametrize("way", ["crop bilinear", "pad bilinear"])
def test_an_image_of_one_row_is_resized_in_bounded_memory(way: str) -> None:
    """A crop of a very long image is cut before it is enlarged."""
    placed = place(10_000_000, 1, FITTED[way])
    assert placed.width * placed.height < 1_000_000
    pixels = np.broadcast_to(np.uint8([10, 20, 30]), (1, 3_000_000, 3)).copy()
    assert (fitted(pixels, FITTED[way])[:, :, 40] == torch.tensor([10, 20, 30])[:, None]).any()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"fit": "stretch"}, "fit must be one of squash, crop, pad"),
        ({"interpolation": "nearest"}, "interpolation must be bilinear or bicubic"),
        ({"fit": "crop", "crop_fraction": 0.0}, "above 0 to 1"),
        ({"fit": "crop", "crop_fraction": 1.5}, "above 0 to 1"),
        ({"fit": "crop", "crop_fraction": 1e-9}, "more than 16384 pixels"),
        ({"crop_fraction": 0.9}, "needs fit 'crop'"),
        ({"pad_color": (1, 2, 3)}, "needs fit 'pad'"),
        ({"fit": "pad", "pad_color": (1, 2, 300)}, "0 to 255"),
    ],
)
def test_values_that_make_no_sense_are_refused(given: dict[str, object], said: str) -> None:
    """Each is named."""
    with pytest.raises(ValueError, match=said):
        Preprocess(**given)  # type: ignore[arg-type]


@pytest.mark.parametrize("way", FITTED)
def test_a_card_keeps_it(way: str) -> None:
    """JSON and back; at the usual values there are no new keys."""
    assert Preprocess.from_json(FITTED[way].to_json()) == FITTED[way]
    assert list(Preprocess().to_json()) == ["size", "upright", "mean", "std"]
