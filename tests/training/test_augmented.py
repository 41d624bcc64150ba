"""Augmented training: which images the steps see, and that they are the same every time."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from small_training import fit

import vocscore.training.setup
from shards.reader import load_split
from vocscore.cli.main import main
from vocscore.config.training import AugmentationConfig
from vocscore.errors import OptionError, TrainError
from vocscore.pipeline.augment import Views
from vocscore.pipeline.loaders import open_loader
from vocscore.pipeline.preprocess import Preprocess

if TYPE_CHECKING:
    from pathlib import Path

AUGMENTED: dict[str, Any] = {"crop_scale": 0.3, "flip": 0.5, "jitter": 0.3}
WHOLE: dict[str, Any] = {"tune": "all", "size": 32, "batch_size": 2, **AUGMENTED}


class Watched:
    """A loader whose batches are written down."""

    def __init__(self, loader: Any, seen: list[dict[str, np.ndarray]]) -> None:
        self._loader = loader
        self._seen = seen

    def batches(self, images: Any, **options: Any) -> Any:
        seen: dict[str, np.ndarray] = {}
        for batch in self._loader.batches(images, **options):
            for row, image in zip(batch.rows, batch.images, strict=True):
                seen[images[row].name] = image.numpy().copy()
            yield batch
        self._seen.append(seen)

    def close(self) -> None:
        self._loader.close()


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, np.ndarray]]:
    """One pass over a split after the other: name -> pixels."""
    passes: list[dict[str, np.ndarray]] = []
    monkeypatch.setattr(
        vocscore.training.setup,
        "open_loader",
        lambda *arguments, **options: Watched(open_loader(*arguments, **options), passes),
    )
    return passes


def expected(shards: Path, split: str, views: Views | None) -> dict[str, np.ndarray]:
    images = load_split(shards, split).images
    with open_loader(
        "host", Preprocess(size=32), batch_size=3, device="cpu", threads=1, max_pixels=10**6
    ) as loader:
        return {
            images[row].name: image.numpy().copy()
            for batch in loader.batches(images, views=views)
            for row, image in zip(batch.rows, batch.images, strict=True)
        }


def test_steps_see_augmented_images_and_validation_does_not(
    seen: list[dict[str, np.ndarray]], few_shards: Path, tmp_path: Path
) -> None:
    """In epoch e, row r looks as seed, e and r say; a validation image looks as it is."""
    fit(few_shards, tmp_path, seed=4, epochs=2, **WHOLE)
    augmentation = AugmentationConfig(**AUGMENTED)
    wanted = [
        expected(few_shards, "train", Views(augmentation, seed=4, epoch=1)),
        expected(few_shards, "val", None),
        expected(few_shards, "train", Views(augmentation, seed=4, epoch=2)),
        expected(few_shards, "val", None),
    ]
    assert len(seen) == len(wanted)
    for got, pixels in zip(seen, wanted, strict=True):
        assert got.keys() == pixels.keys()
        for name, image in pixels.items():
            np.testing.assert_array_equal(got[name], image)


def test_without_augmentation_steps_see_images_as_they_are(
    seen: list[dict[str, np.ndarray]], few_shards: Path, tmp_path: Path
) -> None:
    """The default changes no pixel."""
    fit(few_shards, tmp_path, tune="all", size=32, epochs=1)
    plain = expected(few_shards, "train", None)
    assert all(np.array_equal(seen[0][name], plain[name]) for name in plain)


def test_threads_do_not_change_an_augmented_training(few_shards: Path, tmp_path: Path) -> None:
    """One decoding thread and three give equal weights; another seed gives others."""
    for name, seed, threads in (("a", 1, 1), ("b", 1, 3), ("c", 2, 1)):
        fit(few_shards, tmp_path / name, seed=seed, workers=threads, **WHOLE)
    first, same, other = ((tmp_path / n / "model.safetensors").read_bytes() for n in "abc")
    assert first == same
    assert first != other


class StopError(Exception):
    """In place of whatever stops a training."""


def test_an_augmented_training_resumes_to_the_same_bytes(few_shards: Path, tmp_path: Path) -> None:
    """Stopped after an epoch, it goes on with the images that would have come."""

    def stop(result: Any) -> None:
        if result.epoch == 2:
            raise StopError

    fit(few_shards, tmp_path / "whole", **{**WHOLE, "epochs": 3})
    with pytest.raises(StopError):
        fit(few_shards, tmp_path / "cut", **{**WHOLE, "epochs": 3}, on_epoch=stop)
    torch.rand(3)
    fit(few_shards, tmp_path / "cut", **{**WHOLE, "epochs": 3}, resume=True)
    for file in ("model.safetensors", "history.csv", "metrics.json", "config.json"):
        assert (tmp_path / "cut" / file).read_bytes() == (tmp_path / "whole" / file).read_bytes()


def test_a_resume_with_other_crops_is_refused(few_shards: Path, tmp_path: Path) -> None:
    """The rest of a training cannot be made with other images unnoticed."""

    def stop(_result: Any) -> None:
        raise StopError

    with pytest.raises(StopError):
        fit(few_shards, tmp_path, **WHOLE, on_epoch=stop)
    with pytest.raises(TrainError, match=r"crop_scale was 0\.3 and is 0\.5"):
        fit(few_shards, tmp_path, **{**WHOLE, "crop_scale": 0.5}, resume=True)


@pytest.mark.parametrize("setting", AUGMENTED)
def test_a_head_is_not_augmented(setting: str, few_shards: Path, tmp_path: Path) -> None:
    """Features are computed once, so the options are refused, before anything is made."""
    with pytest.raises(OptionError, match="`crop_scale`, `flip` and `jitter` need `tune='all'`"):
        fit(few_shards, tmp_path / "run", tune="head", **{setting: AUGMENTED[setting]})
    assert not (tmp_path / "run").exists()


def test_the_options_reach_the_run(few_shards: Path, tmp_path: Path) -> None:
    """What is typed is what the run says it was made with; a share of 0 is refused."""
    command = ["train", str(few_shards), "-o", str(tmp_path / "run"), "--backbone", "tiny_dropout"]
    command += ["--weights", "none", "--size", "32", "--epochs", "1", "--tune", "all"]
    options = ["--crop-scale", "0.3", "--flip", "0.5", "--jitter", "0.2"]
    done = CliRunner().invoke(main, [*command, *options], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert (config["crop_scale"], config["flip"], config["jitter"]) == (0.3, 0.5, 0.2)
    refused = CliRunner().invoke(main, [*command, "--crop-scale", "0"])
    assert refused.exit_code == 2
    assert "0<x<=1" in refused.output
