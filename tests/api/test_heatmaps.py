"""Heat maps of classes, and their pictures."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

import vocscore as vs
from shards.sample import ImageRef
from vocscore.api.heatmaps import overlay
from vocscore.errors import ScoreError
from vocscore.models.checkpoint import load_checkpoint, save_checkpoint
from vocscore.pipeline.loaders import open_loader

if TYPE_CHECKING:
    from pathlib import Path


def test_the_mean_of_a_map_is_the_logit_of_a_linear_head(model, paths):
    """Within 1e-4, in order; 32 pixels end as one place of SqueezeNet."""
    maps = model.heatmaps(paths)
    assert maps.dtype == np.float32
    assert maps.shape == (len(paths), 3, 1, 1)
    probabilities = 1 / (1 + np.exp(-maps.mean((2, 3))))
    for one, row in zip(model.predict(paths), probabilities, strict=True):
        np.testing.assert_allclose(one.vector, row, rtol=0, atol=1e-4)


def test_an_image_without_a_map_is_named_or_nan(model, paths):
    """As for features."""
    with pytest.raises(ScoreError, match=r"^gone\.jpg: vanished"):
        model.heatmaps([paths[0], "gone.jpg"])
    maps = model.heatmaps([paths[0], "gone.jpg"], on_error="nan")
    assert np.isnan(maps).all((1, 2, 3)).tolist() == [False, True]
    assert model.heatmaps([]).shape == (0, 3, 1, 1)
    with pytest.raises(ValueError, match="on_error must be"):
        model.heatmaps(paths, on_error="skip")


def test_overlay_colors_where_the_class_is():
    """Nothing where the probability is 0; red over 65% of the pixel where it is 1."""
    pixels = np.full((20, 40, 3), 100, np.uint8)
    drawn = overlay(pixels, np.array([[-50, 50]], np.float32))
    assert (drawn[:, :5] == 100).all()
    assert (drawn[:, -5:] == [201, 35, 35]).all()
    half = overlay(pixels, np.zeros((2, 2), np.float32))
    assert (half == np.rint(0.675 * 100 + 0.325 * np.array([255, 127.5, 0]))).all()


def test_a_saved_map_is_a_png_of_the_images_size(model, paths, tmp_path: Path):
    """The upright image; an existing file is replaced."""
    file = tmp_path / "map.png"
    file.write_text("before")
    model.save_heatmap(paths[0], file, label="dog")
    with Image.open(paths[0]) as image, Image.open(file) as drawn:
        assert (drawn.format, drawn.size) == ("PNG", image.size)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (30, 20)).save(tmp_path / "turned.jpg", exif=exif)
    model.save_heatmap(tmp_path / "turned.jpg", file, label="dog")
    with Image.open(file) as drawn:
        assert drawn.size == (20, 30)


def test_maps_are_of_the_image_as_it_is_with_any_views(run_folder, model, paths):
    """Also where images are decoded in another size too."""
    with vs.load(run_folder, device="cpu", workers=2, tta="flip,size=48") as several:
        np.testing.assert_array_equal(several.heatmaps(paths[:3]), model.heatmaps(paths[:3]))


@pytest.mark.parametrize("tta", [None, "size=48"])
def test_a_cropped_image_is_drawn_as_the_network_sees_it(run_folder, paths, tmp_path: Path, tta):
    """The map does not cover what was cut off."""
    network, card = load_checkpoint(run_folder)
    cropped = replace(card, preprocess=replace(card.preprocess, fit="crop"))
    save_checkpoint(tmp_path / "run", network, cropped)
    file = tmp_path / "map.png"
    with vs.load(tmp_path / "run", device="cpu", workers=2, tta=tta) as seeing:
        seeing.save_heatmap(paths[0], file, label="dog")
        (heat,) = seeing.heatmaps(paths[0])[:, 1]
    with open_loader(
        "host", cropped.preprocess, batch_size=1, device="cpu", threads=1, max_pixels=10**7
    ) as loader:
        (batch,) = loader.batches([ImageRef("0", paths[0])])
    pixels = batch.images[0].permute(1, 2, 0).numpy()
    np.testing.assert_array_equal(np.array(Image.open(file)), overlay(pixels, heat))


def test_what_cannot_be_drawn_is_said(model, paths, tmp_path: Path):
    """And no file is written."""
    file = tmp_path / "map.png"
    with pytest.raises(ValueError, match="one of the model's classes, got 'dogs'; try dog"):
        model.save_heatmap(paths[0], file, label="dogs")
    with pytest.raises(TypeError, match="image must be one image, got several"):
        model.save_heatmap(paths[:2], file, label="dog")
    with pytest.raises(ScoreError, match=r"gone\.jpg"):
        model.save_heatmap("gone.jpg", file, label="dog")
    with pytest.raises(ScoreError, match="empty: no bytes"):
        model.save_heatmap(b"", file, label="dog")
    assert not file.exists()
    with pytest.raises(OSError, match="No such file"):
        model.save_heatmap(paths[0], tmp_path / "no" / "map.png", label="dog")
