"""curves.png."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from vocscore.charts.evaluation_charts import STEMS
from vocscore.evaluation.metrics import report
from vocscore.models.card import ModelCard
from vocscore.pipeline.preprocess import Preprocess
from vocscore.training.history import EpochResult, split_figures
from vocscore.training.plots import curves, validation_charts
from vocscore.training.trainer import SplitOutcome

if TYPE_CHECKING:
    from pathlib import Path


def epoch(number: int, *, loss: float = 0.5, positives: bool = True) -> EpochResult:
    generator = np.random.default_rng(number)
    labels = np.zeros((6, 3), dtype=np.int8)
    if positives:
        labels[generator.permutation(6)[:3]] = 1
    train, val = (report(labels, generator.random((6, 3)), threshold=0.5) for _ in range(2))
    return EpochResult(number, split_figures(loss, train), split_figures(loss + 0.5, val))


TRAIN, VAL = (0, 114, 178), (213, 94, 0)


def colors(file: Path) -> set[tuple[int, ...]]:
    with Image.open(file) as image:
        assert image.format == "PNG"
        assert min(image.size) >= 400
        pixels = np.asarray(image.convert("RGB")).reshape(-1, 3)
    return {tuple(pixel) for pixel in np.unique(pixels, axis=0).tolist()}


@pytest.mark.parametrize("epochs", [1, 100])
def test_curves_of_any_length(epochs: int, tmp_path: Path) -> None:
    """From one epoch on, both splits are drawn, each in its color."""
    curves([epoch(n + 1) for n in range(epochs)], tmp_path)
    assert {TRAIN, VAL} <= colors(tmp_path / "curves.png")


def test_curves_show_the_figures(tmp_path: Path) -> None:
    """Another history gives another image, the same history the same."""
    for name, loss in (("a", 0.5), ("b", 0.5), ("c", 0.9)):
        (tmp_path / name).mkdir()
        curves([epoch(1), epoch(2, loss=loss)], tmp_path / name, chart_format="both")
    for suffix in ("png", "svg"):
        first, same, other = ((tmp_path / n / f"curves.{suffix}").read_bytes() for n in "abc")
        assert first == same
        assert first != other


def test_undefined_figures_are_left_out(tmp_path: Path) -> None:
    """Without a positive label there is no average precision, and the curves are drawn."""
    curves([epoch(1, positives=False), epoch(2, positives=False)], tmp_path)
    assert {TRAIN, VAL} <= colors(tmp_path / "curves.png")


def test_failed_drawing_leaves_the_old_image(tmp_path: Path) -> None:
    """An image is replaced whole or not at all."""
    file = tmp_path / "curves.png"
    file.write_bytes(b"old")
    with pytest.raises(IndexError):
        curves([], tmp_path)
    assert file.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [file]


def test_no_global_state() -> None:
    """Drawing does not load pyplot, which would look for a screen and keep every figure."""
    script = "import sys, vocscore.training.plots; sys.exit('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


NO_POSITIVE = np.zeros((6, 3), dtype=np.int8)
ONE_CLASS_WITHOUT = np.tile(np.array([[1, 0, 0], [0, 1, 0]], dtype=np.int8), (3, 1))


@pytest.mark.parametrize(
    "labels",
    [ONE_CLASS_WITHOUT, ONE_CLASS_WITHOUT[:, :1], NO_POSITIVE, NO_POSITIVE - 1],
    ids=["a class without positives", "one class", "no positive", "all difficult"],
)
def test_charts_of_a_troublesome_split(labels: np.ndarray, tmp_path: Path) -> None:
    """What a validation split does not have is left out, and the charts are drawn."""
    logits = np.random.default_rng(0).normal(size=labels.shape).astype(np.float32)
    val = SplitOutcome(0.5, labels, logits)
    classes = ("a", "b", "c")[: labels.shape[1]]
    card = ModelCard("resnet18", classes, Preprocess(size=32), 0.5, "none", temperature=2.0)
    figures = report(labels, val.probabilities(temperature=2.0), threshold=0.5)
    validation_charts(tmp_path, val, card, figures=figures)
    for name in (f"{stem}.png" for stem in STEMS):
        with Image.open(tmp_path / name) as chart:
            chart.load()
