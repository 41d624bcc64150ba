"""Random crops, flips and colors: drawn by row alone, and the same from every loader."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import TYPE_CHECKING

import kinds
import numpy as np
import pytest
import torch
from PIL import Image
from tolerances import assert_close, recolored_tolerance, tolerance
from torchvision.transforms import RandomResizedCrop
from torchvision.transforms import functional as tv
from workshop import by_row, make, rows_in_order, write

from shards.images import exif
from vocscore.config.training import AugmentationConfig
from vocscore.errors import OptionError
from vocscore.pipeline.augment import Box, Views
from vocscore.pipeline.color import recolor
from vocscore.pipeline.dali_decoder import STARTS, Decoder
from vocscore.pipeline.preprocess import Preprocess

if TYPE_CHECKING:
    from pathlib import Path

    from shards.sample import ImageRef

ALL = AugmentationConfig(crop_scale=0.25, flip=0.5, jitter=0.4)
GEOMETRY = replace(ALL, jitter=0.0)
GOOD = kinds.good()
LOADERS = {"host": "host", "dali": "dali cpu"}


def _pixels(
    loader: str, refs: list[ImageRef], views: Views | None, *, size: int = 64, upright: bool = True
) -> dict[int, np.ndarray]:
    with make(loader, Preprocess(size=size, upright=upright)) as opened:
        return by_row(opened.batches(refs, views=views))


# What is drawn.


def test_a_view_depends_on_seed_epoch_and_row_alone() -> None:
    """Asked again, in another order, by another object: the same; any other number: another."""
    views = Views(ALL, seed=3, epoch=2)
    first = [views.of(row) for row in range(50)]
    assert [Views(ALL, seed=3, epoch=2).of(row) for row in reversed(range(50))] == first[::-1]
    assert len({view.crop for view in first}) == 50
    for other in (Views(ALL, seed=4, epoch=2), Views(ALL, seed=3, epoch=3)):
        assert all(other.of(row).crop != first[row].crop for row in range(50))


def test_one_setting_does_not_change_what_another_draws() -> None:
    """Without crops or colors the same images are mirrored, and so on."""
    for row in range(20):
        full = Views(ALL, seed=0, epoch=1).of(row)
        assert Views(replace(ALL, crop_scale=1.0), seed=0, epoch=1).of(row) == replace(
            full, crop=None
        )
        assert Views(GEOMETRY, seed=0, epoch=1).of(row) == replace(full, colors=None)
        unflipped = Views(replace(ALL, flip=0.0), seed=0, epoch=1).of(row)
        assert unflipped == replace(full, mirrored=False)


def test_as_many_are_mirrored_as_asked_for() -> None:
    """The probability of a flip is what it says: within four standard deviations of 2,000."""
    views = Views(replace(ALL, flip=0.3), seed=0, epoch=1)
    mirrored = sum(views.of(row).mirrored for row in range(2000))
    assert abs(mirrored - 600) < 4 * (2000 * 0.3 * 0.7) ** 0.5


def test_factors_fill_their_range() -> None:
    """Brightness, contrast and saturation are drawn from 1 - jitter to 1 + jitter, each its own."""
    factors = np.array([Views(ALL, seed=0, epoch=1).of(row).colors for row in range(2000)])
    assert (factors >= 0.6).all()
    assert (factors <= 1.4).all()
    np.testing.assert_allclose(np.quantile(factors, [0.1, 0.5, 0.9], axis=0).T,
                               [[0.68, 1.0, 1.32]] * 3, atol=0.04)  # fmt: skip
    assert np.abs(np.corrcoef(factors.T) - np.eye(3)).max() < 0.1


@pytest.mark.parametrize("size", [(500, 375), (375, 500), (900, 200)], ids=str)
def test_crops_are_distributed_as_torchvisions(size: tuple[int, int]) -> None:
    """Height, width, top and left have the quantiles that RandomResizedCrop draws."""
    width, height = size
    views = Views(ALL, seed=0, epoch=1)
    boxes = [views.of(row).crop.box(width, height) for row in range(3000)]  # type: ignore[union-attr]
    ours = np.array([(b.top, b.left, b.height, b.width) for b in boxes])
    torch.manual_seed(0)
    blank = torch.empty(3, height, width)
    ratio = (3 / 4, 4 / 3)
    theirs = np.array(
        [RandomResizedCrop.get_params(blank, [0.25, 1], list(ratio)) for _ in range(3000)]
    )
    cuts = np.linspace(0.05, 0.95, 19)
    scale = np.array([height, width, height, width])
    difference = (np.quantile(ours, cuts, axis=0) - np.quantile(theirs, cuts, axis=0)) / scale
    assert np.abs(difference).max() < 0.05
    fallback = (
        ours == (0, (width - round(height * 4 / 3)) // 2, height, round(height * 4 / 3))
    ).all(1)
    shares = ours[:, 2] * ours[:, 3] / (width * height)
    ratios = ours[:, 3] / ours[:, 2]
    assert (shares[~fallback] > 0.245).all()
    assert (shares <= 1).all()
    assert (ratios > 0.74).all()
    assert (ratios < 1.35).all()


@pytest.mark.parametrize("size", [(1, 1), (3000, 2), (2, 3000), (10, 10), (1, 7), (5, 3)], ids=str)
def test_a_crop_lies_in_the_image(size: tuple[int, int]) -> None:
    """However small or long the image, a crop has a pixel at least and none outside."""
    width, height = size
    for row in range(200):
        box = Views(ALL, seed=1, epoch=1).of(row).crop.box(width, height)  # type: ignore[union-attr]
        assert 0 <= box.top < box.top + box.height <= height
        assert 0 <= box.left < box.left + box.width <= width


@pytest.mark.parametrize("size", [(3000, 20), (20, 3000)], ids=str)
def test_where_no_try_fits_the_middle_is_torchvisions(size: tuple[int, int]) -> None:
    """Of a very long image the crop is the one that RandomResizedCrop falls back to."""
    width, height = size
    box = Views(ALL, seed=1, epoch=1).of(0).crop.box(width, height)  # type: ignore[union-attr]
    blank = torch.empty(3, height, width)
    expected = RandomResizedCrop.get_params(blank, [0.25, 1], [3 / 4, 4 / 3])
    assert (box.top, box.left, box.height, box.width) == tuple(expected)


@pytest.mark.parametrize("wrong", [{"crop_scale": 0.0}, {"crop_scale": 1.1}, {"flip": -0.1},
                                   {"jitter": 1.5}], ids=str)  # fmt: skip
def test_settings_that_mean_nothing_are_refused(wrong: dict[str, float]) -> None:
    """A share of nothing, a probability above 1 or a factor below 0 is no augmentation."""
    with pytest.raises(OptionError):
        AugmentationConfig(**wrong)


# What is done with it.


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_box_is_found_in_the_stored_image(orientation: int) -> None:
    """Cut out as stored and then turned is turned and then cut out; mirrored likewise."""
    stored = np.arange(7 * 11 * 3, dtype=np.uint8).reshape(7, 11, 3)
    upright = exif.turned(stored, orientation)
    box = Box(top=1, left=2, height=4, width=3)
    expected = upright[1:5, 2:5]
    at = box.stored(orientation, width=11, height=7)
    part = stored[at.top : at.top + at.height, at.left : at.left + at.width]
    np.testing.assert_array_equal(exif.turned(part, orientation), expected)
    mirrored = replace(Views(ALL, seed=0, epoch=0).of(0), mirrored=True)
    np.testing.assert_array_equal(
        exif.turned(part, mirrored.turned(orientation)), expected[:, ::-1]
    )


def test_colors_are_torchvisions() -> None:
    """Each image of a batch gets what torchvision makes of it alone, rounded once."""
    noise = np.random.default_rng(0).integers(0, 256, (5, 3, 40, 30), dtype=np.uint8)
    images = torch.from_numpy(noise).contiguous(memory_format=torch.channels_last)
    factors = [(0.6, 1.4, 0.5), (1.4, 0.6, 1.4), (1.0, 1.0, 1.0), (2.0, 2.0, 0.0), (0.0, 1.0, 1.0)]
    changed = images.clone()
    recolor(changed, factors)
    for before, after, (brightness, contrast, saturation) in zip(
        images, changed, factors, strict=True
    ):
        expected = tv.adjust_brightness(before / 255, brightness)
        expected = tv.adjust_contrast(expected, contrast)
        expected = tv.adjust_saturation(expected, saturation) * 255
        assert (after - expected).abs().max() <= 0.501
    assert torch.equal(changed[2], images[2])


def test_the_reference_is_torchvision_on_pillow(tmp_path: Path) -> None:
    """Crop, resize and flip are bit for bit what torchvision does to the upright PIL image."""
    names = [name for name in GOOD if name.startswith("jpeg exif")]
    refs = write(tmp_path, {name: GOOD[name] for name in names})
    views = Views(GEOMETRY, seed=0, epoch=4)
    got = _pixels("reference", refs, views)
    for row, name in enumerate(names):
        view = views.of(row)
        with Image.open(io.BytesIO(GOOD[name])) as stored:
            image = Image.fromarray(exif.turned(np.array(stored), row + 1))
        box = view.crop.box(image.width, image.height)  # type: ignore[union-attr]
        image = tv.resized_crop(image, box.top, box.left, box.height, box.width, [64, 64])
        image = tv.hflip(image) if view.mirrored else image
        np.testing.assert_array_equal(got[row], np.asarray(image).transpose(2, 0, 1))


@pytest.mark.parametrize("upright", [True, False])
@pytest.mark.parametrize("epoch", [1, 2, 3])
@pytest.mark.parametrize("loader", LOADERS)
def test_every_kind_is_augmented_alike(
    tmp_path: Path, loader: str, epoch: int, upright: bool
) -> None:
    """Every kind of image, turned by EXIF or not, comes out as the reference has it."""
    refs = write(tmp_path, GOOD)
    for augmentation in (GEOMETRY, ALL):
        views = Views(augmentation, seed=5, epoch=epoch)
        truth = _pixels("reference", refs, views, upright=upright)
        got = _pixels(loader, refs, views, upright=upright)
        assert sorted(got) == sorted(truth) == list(range(len(GOOD)))
        for row, name in enumerate(GOOD):
            allowed = tolerance(LOADERS[loader], name)
            if augmentation.jitter:
                allowed = recolored_tolerance(allowed, views.of(row).colors)
            assert_close(got[row], truth[row], allowed=allowed, name=f"{name}, {augmentation}")


def test_images_decoded_smaller_are_cropped_as_the_others(tmp_path: Path) -> None:
    """A JPEG so large that it would be decoded at an eighth has the crop that it should have."""
    large = kinds.encoded(kinds.photo(1200, 900), "JPEG", exif=kinds.with_orientation(6))
    refs = write(tmp_path, {str(n): large for n in range(4)})
    views = Views(GEOMETRY, seed=0, epoch=1)
    truth = _pixels("reference", refs, views)
    for loader in LOADERS:
        got = _pixels(loader, refs, views)
        for row in range(4):
            allowed = tolerance("host", "jpeg")
            assert_close(got[row], truth[row], allowed=allowed, name=f"{loader} {row}")


# By whom and when does not matter.


@pytest.mark.parametrize("loader", ["reference", *LOADERS])
@pytest.mark.parametrize(("threads", "batch_size"), [(1, 7), (3, 4), (3, 50)])
def test_neither_threads_nor_batches_change_a_pixel(
    tmp_path: Path, loader: str, threads: int, batch_size: int
) -> None:
    """One thread or three, four rows a batch or seven, any order: equal pixels, each row once."""
    refs = write(tmp_path, GOOD)
    views = Views(ALL, seed=9, epoch=1)
    with make(loader, Preprocess(size=32), batch_size=4, threads=2) as opened:
        expected = by_row(opened.batches(refs, views=views))
    order = np.random.default_rng(1).permutation(len(refs)).tolist()
    with make(loader, Preprocess(size=32), batch_size=batch_size, threads=threads) as opened:
        batches = list(opened.batches(refs, order=order, views=views))
    found = by_row(batches)
    assert sorted(rows_in_order(batches)) == list(range(len(refs)))
    for row, pixels in expected.items():
        np.testing.assert_array_equal(found[row], pixels)


@pytest.mark.parametrize("loader", ["reference", *LOADERS])
def test_without_augmentation_nothing_changes(tmp_path: Path, loader: str) -> None:
    """Views that change nothing, and none at all, give the very same pixels; others do not."""
    refs = write(tmp_path, GOOD)
    plain = _pixels(loader, refs, None)
    unchanged = _pixels(loader, refs, Views(AugmentationConfig(), seed=0, epoch=1))
    for row, pixels in plain.items():
        np.testing.assert_array_equal(unchanged[row], pixels)
    changed = _pixels(loader, refs, Views(ALL, seed=0, epoch=1))
    assert sum(np.array_equal(changed[row], plain[row]) for row in plain) <= 2  # 1x1, say


@pytest.mark.parametrize("loader", ["reference", *LOADERS])
def test_one_loader_serves_both(tmp_path: Path, loader: str) -> None:
    """Training and validation take turns with one loader, and neither changes the other."""
    refs = write(tmp_path, GOOD)
    views = Views(ALL, seed=0, epoch=1)
    with make(loader, Preprocess(size=32)) as opened:
        runs = [by_row(opened.batches(refs, views=v)) for v in (None, views, None, views)]
    for row in range(len(refs)):
        np.testing.assert_array_equal(runs[0][row], runs[2][row])
        np.testing.assert_array_equal(runs[1][row], runs[3][row])


@pytest.mark.parametrize("loader", ["reference", *LOADERS])
def test_bad_images_stay_failures(tmp_path: Path, loader: str) -> None:
    """An image that cannot be decoded fails for the same reason, and shifts no other's view."""
    bad = kinds.bad()
    files = {**{name: data for name, (data, _) in bad.items()}, "good": GOOD["jpeg"]}
    refs = write(tmp_path, files)
    views = Views(ALL, seed=0, epoch=1)
    with make(loader, Preprocess(size=32)) as opened:
        batches = list(opened.batches(refs, views=views))
    reasons = {f.row: str(f.fault.reason) for batch in batches for f in batch.failures}
    assert reasons == dict(enumerate(code for _, code in bad.values()))
    padding = [refs[-1]] * len(refs)
    expected = _pixels(loader, padding, views, size=32)[len(bad)]
    np.testing.assert_array_equal(by_row(batches)[len(bad)], expected)


def test_a_batch_that_dali_gives_up_is_augmented_on_the_host(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is decoded one by one after a failure has the crop, flip and colors of its row."""
    refs = write(tmp_path, GOOD)
    views = Views(ALL, seed=2, epoch=1)
    expected = _pixels("host", refs, views)
    real = Decoder.collect

    def collect(self: Decoder) -> None:
        real(self)

    monkeypatch.setattr(Decoder, "collect", collect)
    found = _pixels("dali", refs, views)
    for row, pixels in expected.items():
        np.testing.assert_array_equal(found[row], pixels)


class _FakeGraph:
    """Gives up once; what it gives back for an image is the first row of its box."""

    deaths = 0

    def __init__(self) -> None:
        self._fed: list[list[np.ndarray]] = []

    def feed_input(self, name: str, data: list[np.ndarray]) -> None:
        if name == "starts":
            self._fed.append(data)

    def schedule_run(self) -> None:
        """Nothing is to be started."""

    def outputs(self, cuda_stream: object = None) -> tuple[object, ...]:
        starts = self._fed.pop(0)
        if not _FakeGraph.deaths:
            _FakeGraph.deaths = 1
            raise RuntimeError("no more")
        values = torch.tensor([int(start[0]) for start in starts]).view(-1, 1, 1, 1)
        return (type("Tensors", (), {"as_tensor": lambda _self: values})(),)


def test_boxes_are_fed_again_with_their_images() -> None:
    """When the graph dies, the batches behind the failing one keep their boxes."""
    _FakeGraph.deaths = 0
    decoder = Decoder(_FakeGraph, device=torch.device("cpu"))
    for number in range(3):
        decoder.submit([b"x", b"y"], {STARTS: [np.array((2 * number + i, 0)) for i in (0, 1)]})
    results = [decoder.collect() for _ in range(3)]
    assert results[0] is None
    assert [r.flatten().tolist() for r in results[1:] if r is not None] == [[2, 3], [4, 5]]
