"""The three images of an evaluation: what is drawn is what was measured."""

from __future__ import annotations

import subprocess
import sys
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image
from sklearn.calibration import calibration_curve
from sklearn.metrics import average_precision_score

from vocscore.charts import class_chart, missed_chart, reliability_chart
from vocscore.charts.evaluation_charts import NAMES, evaluation_charts
from vocscore.evaluation.calibration import reliability
from vocscore.evaluation.metrics import decide, report
from vocscore.evaluation.mistakes import missed_together

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType

    from matplotlib.figure import Figure
    from numpy.typing import NDArray


def table(classes: int, *, images: int = 300) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Labels, and probabilities that know something of them."""
    rng = np.random.default_rng(classes)
    labels = (rng.random((images, classes)) < rng.uniform(0.05, 0.4, classes)).astype(np.int8)
    noise = rng.normal(0, rng.uniform(0.5, 4, classes), labels.shape)
    return labels, (1 / (1 + np.exp(-(4.0 * labels - 2 + noise)))).astype(np.float32)


def draw(folder: Path, labels: NDArray[np.int8], probabilities: NDArray[np.float32]) -> None:
    names = [f"class {n} $x_1$" for n in range(labels.shape[1])]
    names[0] = "\u732b a name that is longer than any chart has room for, and goes on"
    evaluation_charts(
        folder,
        names,
        figures=report(labels, probabilities, threshold=0.5),
        calibration={
            "before": reliability(labels, probabilities),
            "after": reliability(labels, probabilities / 2),
        },
        missed=missed_together(labels, decide(probabilities, 0.5)),
    )


def drawn(module: ModuleType, monkeypatch: pytest.MonkeyPatch, function: str, *args: Any) -> Figure:
    """The figure that a function would have saved."""
    figures: list[Figure] = []
    monkeypatch.setattr(module, "save", lambda figure, _file: figures.append(figure))
    getattr(module, function)(*args, None)
    return figures[0]


@pytest.mark.parametrize("classes", [1, 2, 20, 80, 250])
def test_any_number_of_classes(classes: int, tmp_path: Path) -> None:
    """Three images that can be looked at, without a word on standard error."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        draw(tmp_path, *table(classes))
    assert sorted(file.name for file in tmp_path.iterdir()) == sorted(NAMES)
    for file in tmp_path.iterdir():
        with Image.open(file) as image:
            assert image.format == "PNG"
            assert min(image.size) >= 200
            assert max(image.size) <= 3000


@pytest.mark.parametrize("label", [-1, 0, 1])
def test_labels_that_tell_nothing(label: int, tmp_path: Path) -> None:
    """Only ignored, only absent, only present: drawn with what there is."""
    labels = np.full((4, 3), label, dtype=np.int8)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        draw(tmp_path, labels, np.full((4, 3), 0.75, dtype=np.float32))
    assert sorted(file.name for file in tmp_path.iterdir()) == sorted(NAMES)


def test_bars_are_average_precisions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Scikit-learn's figures, best first, with name, positives and chance; none without a bar."""
    labels, probabilities = table(6)
    labels[:, 2] = 0
    figures = report(labels, probabilities, threshold=0.5)
    figure = drawn(class_chart, monkeypatch, "class_chart", figures, "abcdef")
    axes = figure.axes[0]
    points = {
        name: average_precision_score(labels[:, c], probabilities[:, c])
        for c, name in enumerate("abcdef")
        if c != 2
    }
    order = sorted(points, key=lambda name: -points[name])
    names = [text.get_text() for text in axes.get_yticklabels()]
    assert names == [*order, "c"]
    widths = [bar.get_width() for bar in axes.patches]
    np.testing.assert_allclose(widths, [*(points[name] for name in order), 0], atol=1e-9)
    texts = [text.get_text() for text in axes.texts]
    best = labels[:, "abcdef".index(order[0])]
    assert texts[0] == f"{points[order[0]]:.2f}   n={best.sum()}"
    assert texts[-1] == "no positives"
    chance = axes.lines[0].get_xdata()
    assert chance[0] == pytest.approx(best.mean())
    assert len(chance) == 5
    assert axes.lines[1].get_xdata()[0] == pytest.approx(np.mean(list(points.values())))


def test_many_classes_show_both_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """The best 50 and the worst 50, and how many are between them."""
    labels, probabilities = table(130)
    figures = report(labels, probabilities, threshold=0.5)
    names = [str(c) for c in range(130)]
    axes = drawn(class_chart, monkeypatch, "class_chart", figures, names).axes[0]
    ranked = [names[c] for c in np.argsort(-figures.average_precision, kind="stable")]
    assert [t.get_text() for t in axes.get_yticklabels()] == ranked[:50] + ranked[-50:]
    assert "30 in the middle left out" in axes.get_title()


def test_reliability_is_scikit_learns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both lines, their errors in the legend, and the counts below."""
    labels, probabilities = table(5)
    of = {
        "before": reliability(labels, probabilities),
        "after": reliability(labels, probabilities / 2),
    }
    figure = drawn(reliability_chart, monkeypatch, "reliability_chart", of)
    shares, counts = figure.axes
    for line, scale in zip(shares.lines[1:], (1, 2), strict=True):
        guess = (probabilities / np.float32(scale)).ravel()
        share, mean = calibration_curve(labels.ravel(), guess, n_bins=15)
        np.testing.assert_allclose(line.get_xdata(), mean, atol=1e-6)
        np.testing.assert_allclose(line.get_ydata(), share, atol=1e-6)
    error = of["after"].expected_calibration_error
    assert f"after: expected calibration error {error:.3f}" in shares.lines[2].get_label()
    assert counts.patches[0].get_data().values.sum() == labels.size


def test_pairs_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """A field is the number of images that miss both; the diagonal stands behind the names."""
    labels = np.array([[1, 1, 0], [1, 1, 1], [0, 0, 1], [1, 0, 0]], dtype=np.int8)
    missed = missed_together(labels, np.zeros((4, 3), dtype=np.bool_))
    axes = drawn(missed_chart, monkeypatch, "missed_chart", missed, ("cat", "dog", "cow")).axes[0]
    assert [t.get_text() for t in axes.get_yticklabels()] == ["cat  3", "dog  2", "cow  2"]
    found = {tuple(map(round, t.get_position())): int(t.get_text()) for t in axes.texts}
    assert found == {(0, 1): 2, (1, 0): 2, (0, 2): 1, (2, 0): 1, (1, 2): 1, (2, 1): 1}
    assert axes.images[0].get_array().mask.tolist() == np.eye(3, dtype=bool).tolist()


def test_the_classes_missed_most(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 80 classes the 40 that are missed most often, the worst first."""
    alone = np.random.default_rng(0).permutation(80)
    names = [f"n{c}" for c in range(80)]
    axes = drawn(missed_chart, monkeypatch, "missed_chart", np.diag(alone), names).axes[0]
    expected = [f"n{c}  {alone[c]}" for c in np.argsort(-alone)[:40]]
    assert [t.get_text() for t in axes.get_yticklabels()] == expected
    assert "the 40 of 80 classes" in axes.get_title()


def test_nothing_missed_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty chart has a title that says why."""
    nothing = np.zeros((3, 3), dtype=np.int64)
    axes = drawn(missed_chart, monkeypatch, "missed_chart", nothing, "abc").axes[0]
    assert "nothing was missed" in axes.get_title()


def test_no_window_is_asked_for() -> None:
    """Drawing does not load pyplot, which would look for a screen and keep every figure."""
    load = "import sys, vocscore.charts.evaluation_charts"
    script = f"{load}; sys.exit('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
