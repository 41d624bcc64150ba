"""The three charts of an evaluation: what is drawn is what was measured."""

from __future__ import annotations

import subprocess
import sys
import warnings
from collections import Counter
from itertools import combinations
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from matplotlib.colors import to_hex
from PIL import Image
from scipy.stats import binomtest
from sklearn.calibration import calibration_curve
from sklearn.metrics import average_precision_score

from vocscore.charts import canvas, class_chart, missed_chart, missed_list, reliability_chart
from vocscore.charts.canvas import DOTS_PER_INCH, WIDTH
from vocscore.charts.evaluation_charts import STEMS, evaluation_charts
from vocscore.evaluation.bootstrap import Intervals, bootstrap
from vocscore.evaluation.calibration import reliability
from vocscore.evaluation.metrics import report
from vocscore.evaluation.mistakes import missed_together
from vocscore.models.probabilities import decide

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray


def table(classes: int, *, images: int = 300) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Labels, and probabilities that know something of them."""
    rng = np.random.default_rng(classes)
    labels = (rng.random((images, classes)) < rng.uniform(0.05, 0.4, classes)).astype(np.int8)
    noise = rng.normal(0, rng.uniform(0.5, 4, classes), labels.shape)
    return labels, (1 / (1 + np.exp(-(4.0 * labels - 2 + noise)))).astype(np.float32)


PNG = sorted(f"{stem}.png" for stem in STEMS)
LONG = "synthetic category of agricultural machinery with a trailer, model {}"


def names_of(classes: int) -> list[str]:
    """Names with everything that a chart has to cope with: '$', wide letters, great length."""
    names = [f"class {n} $x_1$" for n in range(classes)]
    names[0] = "\u732b a name that is longer than any chart has room for, and goes on"
    names[1:4] = [LONG.format(n) for n in range(len(names[1:4]))]
    names[4:6] = ["\u732b\u3068\u72ac" * 9 for _ in names[4:6]]
    return names


def intervals_of(labels: NDArray[np.int8], probabilities: NDArray[np.float32]) -> Intervals:
    return bootstrap(labels, probabilities, probabilities >= 0.5, resamples=20, seed=0)


def draw(
    folder: Path,
    labels: NDArray[np.int8],
    probabilities: NDArray[np.float32],
    *,
    chart_format: str = "png",
) -> None:
    """The three charts of a table, under the longest text that `train` may put above them."""
    evaluation_charts(
        folder,
        names_of(labels.shape[1]),
        figures=report(labels, probabilities, threshold=0.5),
        intervals=intervals_of(labels, probabilities),
        calibration={
            "as trained": reliability(labels, probabilities),
            "temperature 1.23": reliability(labels, probabilities / 2),
        },
        missed=missed_together(labels, decide(probabilities, 0.5)),
        subject="validation split, not trained on; it chose the epoch and the thresholds and the "
        "temperature",
        chart_format=chart_format,
    )


def drawn(
    module: ModuleType, monkeypatch: pytest.MonkeyPatch, function: str, *args: Any, **named: Any
) -> Figure:
    """The figure that a function would have saved."""
    figures: list[Figure] = []
    monkeypatch.setattr(module, "save", lambda figure, _files: figures.append(figure))
    getattr(module, function)(*args, (), **named)
    return figures[0]


@pytest.mark.parametrize("classes", [1, 2, 20, 1000])
def test_any_number_of_classes(
    classes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three charts of a report's width and a page's height at most, with every text on them."""
    saved: list[Figure] = []
    original = canvas.save

    def watched(figure: Figure, files: tuple[Path, ...]) -> None:
        original(figure, files)
        saved.append(figure)

    for module in (class_chart, missed_chart, missed_list, reliability_chart):
        monkeypatch.setattr(module, "save", watched)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        draw(tmp_path, *table(classes))
    assert sorted(file.name for file in tmp_path.iterdir()) == PNG
    for file in tmp_path.iterdir():
        with Image.open(file) as image:
            assert image.format == "PNG"
            assert image.width == WIDTH * DOTS_PER_INCH
            assert 200 <= image.height <= 10 * DOTS_PER_INCH
            assert image.info["dpi"] == pytest.approx((DOTS_PER_INCH, DOTS_PER_INCH), abs=0.1)
    for figure in saved:
        drawn_on = figure.get_tightbbox()  # inches
        assert 0 <= drawn_on.x0 <= drawn_on.x1 <= WIDTH
        assert 0 <= drawn_on.y0 <= drawn_on.y1 <= figure.get_figheight()


@pytest.mark.parametrize("label", [-1, 0, 1])
def test_labels_that_tell_nothing(label: int, tmp_path: Path) -> None:
    """Only ignored, only absent, only present: drawn with what there is."""
    labels = np.full((4, 3), label, dtype=np.int8)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        draw(tmp_path, labels, np.full((4, 3), 0.75, dtype=np.float32))
    assert sorted(file.name for file in tmp_path.iterdir()) == PNG


def test_svg(tmp_path: Path) -> None:
    """The same figures give the same bytes: no date, no random names, nothing see-through."""
    first, again = tmp_path / "first", tmp_path / "again"
    for folder in (first, again):
        folder.mkdir()
        draw(folder, *table(3), chart_format="svg")
    names = sorted(file.name for file in first.iterdir())
    assert names == sorted(f"{stem}.svg" for stem in STEMS)
    for name in names:
        text = (first / name).read_bytes()
        assert text == (again / name).read_bytes()
        assert ET.fromstring(text).get("width") == f"{WIDTH * 72:g}pt"
        assert b"dc:date" not in text
        assert b"opacity" not in text  # what some programs ignore


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
    texts = [text.get_text() for text in axes.child_axes[0].get_yticklabels()]
    best = labels[:, "abcdef".index(order[0])]
    assert texts[0] == f"{points[order[0]]:.2f}   n={best.sum()}"
    assert texts[-1] == "no positives"
    chance = axes.lines[0].get_xdata()
    assert chance[0] == pytest.approx(best.mean())
    assert len(chance) == 5
    mean = np.mean(list(points.values()))
    assert axes.lines[1].get_xdata()[0] == pytest.approx(mean)
    assert axes.lines[1].get_label() == f"mean {mean:.3f}"


def test_whiskers_are_percentiles_of_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    """Scikit-learn's average precision of rows drawn one by one; a class without has no whisker."""
    labels, probabilities = table(4, images=60)
    labels[:6], labels[:, 1] = 1, 0  # every resample has positives
    figures = report(labels, probabilities, threshold=0.5)
    intervals = intervals_of(labels, probabilities)
    figure = drawn(class_chart, monkeypatch, "class_chart", figures, "abcd", intervals=intervals)
    axes = figure.axes[0]
    rows = np.random.default_rng(0).integers(0, 60, (20, 60))
    points = np.array(
        [
            [average_precision_score(labels[r, c], probabilities[r, c]) for c in (0, 2, 3)]
            for r in rows
        ]
    )
    expected = dict(zip("acd", np.percentile(points, [2.5, 97.5], axis=0).T, strict=True))
    names = [text.get_text() for text in axes.get_yticklabels()]
    (line,) = [c for c in axes.collections if "resamples" in str(c.get_label())]
    found = {names[round(s[0, 1])]: s[:, 0] for s in line.get_segments()}
    assert set(found) == {"a", "c", "d"}
    for name, ends in found.items():
        np.testing.assert_allclose(ends, expected[name], atol=1e-9)
    low, high = np.percentile(points.mean(axis=1), [2.5, 97.5])
    label = axes.lines[-1].get_label()
    assert label.endswith(f"(95% of resamples: {low:.3f} to {high:.3f})")
    assert "95% of 20 resamples of the images" in line.get_label()


def test_bars_of_few_positives_are_pale(monkeypatch: pytest.MonkeyPatch) -> None:
    """Below 10 positives a bar has another color, and the legend says so."""
    labels = np.zeros((40, 2), dtype=np.int8)
    labels[:9, 0], labels[:10, 1] = 1, 1
    probabilities = np.linspace(1, 0, 80, dtype=np.float32).reshape(40, 2)
    figures = report(labels, probabilities, threshold=0.5)
    figure = drawn(class_chart, monkeypatch, "class_chart", figures, ("nine", "ten"))
    axes = figure.axes[0]
    names = [text.get_text() for text in axes.get_yticklabels()]
    shades = dict(zip(names, (to_hex(b.get_facecolor()) for b in axes.patches), strict=True))
    assert shades == {"nine": canvas.PALE_SKY, "ten": canvas.SKY}
    assert "pale: fewer than 10 positives" in legend(figure)
    figures = report(labels[:, 1:], probabilities[:, 1:], threshold=0.5)
    assert "pale" not in str(legend(drawn(class_chart, monkeypatch, "class_chart", figures, "t")))


def legend(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_many_classes_show_both_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """The best 40 and the worst 40 with positives, and between them how many are left out."""
    labels, probabilities = table(130)
    labels[:, :7] = 0
    figures = report(labels, probabilities, threshold=0.5)
    names = [str(c) for c in range(130)]
    axes = drawn(class_chart, monkeypatch, "class_chart", figures, names).axes[0]
    points = np.nan_to_num(figures.average_precision, nan=-1)
    ranked = [names[c] for c in np.argsort(-points, kind="stable")][:-7]
    assert [t.get_text() for t in axes.get_yticklabels()] == ranked[:40] + ranked[-40:]
    told = "43 classes in between and 7 without positives are left out"
    assert told in [text.get_text() for text in axes.texts]


def test_reliability_is_scikit_learns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both lines, their errors in the legend, and the counts below."""
    labels, probabilities = table(5)
    of = {
        "before": reliability(labels, probabilities),
        "after": reliability(labels, probabilities / 2),
    }
    figure = drawn(reliability_chart, monkeypatch, "reliability_chart", of)
    shares, counts = figure.axes
    lines = [line for line in shares.lines if "expected calibration" in line.get_label()]
    for line, scale in zip(lines, (1, 2), strict=True):
        guess = (probabilities / np.float32(scale)).ravel()
        share, mean = calibration_curve(labels.ravel(), guess, n_bins=15)
        used = ~np.isnan(line.get_xdata())
        np.testing.assert_allclose(line.get_xdata()[used], mean, atol=1e-6)
        np.testing.assert_allclose(line.get_ydata()[used], share, atol=1e-6)
    error = of["after"].expected_calibration_error
    assert f"after: expected calibration error {error:.3f}" in lines[1].get_label()
    assert counts.patches[0].get_data().values.sum() == labels.size
    assert "hollow" not in str(legend(figure))


def test_bins_of_few_decisions_are_hollow_and_off_the_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nineteen decisions are few, twenty are not; each bin has SciPy's Wilson interval."""
    guess = np.repeat(np.float32([0.02, 0.1, 0.5, 0.9]), [400, 20, 19, 3])
    labels = (np.random.default_rng(0).random(len(guess)) < guess).astype(np.int8)
    found = reliability(labels, guess)
    figure = drawn(reliability_chart, monkeypatch, "reliability_chart", {"p": found})
    shares = figure.axes[0]
    line, few = shares.lines[1:3]
    assert np.flatnonzero(~np.isnan(line.get_ydata())).tolist() == [0, 1]
    np.testing.assert_allclose(few.get_xdata(), [0.5, 0.9], atol=1e-6)
    assert few.get_markerfacecolor() == "white"
    assert few.get_linestyle() == "None"
    segments = {
        round(float(s[0, 0]), 2): s[:, 1] for c in shares.collections for s in c.get_segments()
    }
    for probability, total in ((0.02, 400), (0.1, 20), (0.5, 19), (0.9, 3)):
        hits = int(labels[np.isclose(guess, probability)].sum())
        expected = binomtest(hits, total).proportion_ci(method="wilson")
        np.testing.assert_allclose(segments[probability], expected, atol=1e-9)
    told = legend(figure)
    assert "95% interval (Wilson)" in told
    assert "hollow, pale: fewer than 20 decisions (dotted line)" in told


def test_pairs_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """A field is the number of images that miss both; the diagonal is behind the names."""
    labels = np.array([[1, 1, 0], [1, 1, 1], [0, 0, 1], [1, 0, 0]], dtype=np.int8)
    missed = missed_together(labels, np.zeros((4, 3), dtype=np.bool_))
    given = (missed, ("cat", "dog", "cow"))
    figure = drawn(missed_chart, monkeypatch, "missed_chart", *given, positives=labels.sum(0))
    axes = figure.axes[0]
    counted = ["cat  3 of 3", "dog  2 of 2", "cow  2 of 2"]
    assert [t.get_text() for t in axes.get_yticklabels()] == counted
    found = {tuple(map(round, t.get_position())): int(t.get_text()) for t in axes.texts}
    assert found == {(0, 1): 2, (1, 0): 2, (0, 2): 1, (2, 0): 1, (1, 2): 1, (2, 1): 1}
    assert axes.images[0].get_array().mask.tolist() == np.eye(3, dtype=bool).tolist()


def test_the_classes_missed_most(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 80 classes the table has the 30 that are missed most often, the worst first."""
    alone = np.random.default_rng(0).permutation(80)
    missed = np.ones((80, 80), dtype=np.int64) + np.diag(alone)
    names = [f"n{c}" for c in range(80)]
    positives = np.full(80, 99)
    figure = drawn(missed_chart, monkeypatch, "missed_chart", missed, names, positives=positives)
    axes = figure.axes[0]
    expected = [f"n{c}  {alone[c] + 1} of 99" for c in np.argsort(-alone)[:30]]
    assert [t.get_text() for t in axes.get_yticklabels()] == expected
    assert "the 30 of 80 classes" in axes.get_title()


def bars(axes: Axes) -> list[tuple[str, int, str]]:
    """Name, length, and what is said at the right, from the top down."""
    names, told = (
        [t.get_text() for t in side.get_yticklabels()] for side in (axes, axes.child_axes[0])
    )
    widths = [round(bar.get_width()) for bar in axes.patches]
    return list(zip(names, widths, told, strict=True))


def test_a_table_that_would_be_nearly_empty_is_a_list(monkeypatch: pytest.MonkeyPatch) -> None:
    """Below a tenth of the pairs: pairs and classes as bars, counted one by one here."""
    rng = np.random.default_rng(5)
    labels = (rng.random((60, 12)) < 0.035).astype(np.int8)
    predicted = rng.random(labels.shape) < 0.2
    names = [f"n{c:02d}" for c in range(12)]
    pairs: Counter[str] = Counter()
    alone: Counter[str] = Counter()
    for row, guess in zip(labels, predicted, strict=True):
        gone = [names[c] for c in range(12) if row[c] == 1 and not guess[c]]
        alone.update(gone)
        pairs.update(" + ".join(pair) for pair in combinations(gone, 2))
    assert 0 < len(pairs) < 0.1 * 66
    missed = missed_together(labels, predicted)
    given = (missed, names)
    positives = labels.sum(0)
    figure = drawn(missed_list, monkeypatch, "draw_list", *given, positives=positives, subject="")
    top, bottom = map(bars, figure.axes[:2])
    assert {name: count for name, count, _ in top} == pairs
    assert {name: count for name, count, _ in bottom} == alone
    for listed in (top, bottom):
        counts = [count for _, count, _ in listed]
        assert counts == sorted(counts, reverse=True)
    name, count, told = bottom[0]
    assert told == f"{count} of {labels[:, names.index(name)].sum()} images"
    # and the chart chooses it
    chosen: list[str] = []
    monkeypatch.setattr(missed_chart, "draw_list", lambda *_a, **_n: chosen.append("list"))
    missed_chart.missed_chart(missed, names, (), positives=positives)
    assert chosen == ["list"]


def test_one_class_has_a_list(monkeypatch: pytest.MonkeyPatch) -> None:
    """There are no pairs of one class; how often it is missed is drawn."""
    given = (np.array([[7]]), ["only"])
    positives = np.array([9])
    figure = drawn(missed_list, monkeypatch, "draw_list", *given, positives=positives, subject="")
    assert bars(figure.axes[0]) == [("only", 7, "7 of 9 images")]


def test_nothing_missed_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty chart says why."""
    given = (np.zeros((3, 3), dtype=np.int64), "abc")
    positives = np.array([1, 2, 3])
    figure = drawn(missed_list, monkeypatch, "draw_list", *given, positives=positives, subject="")
    assert "nothing was missed" in figure.texts[0].get_text()


def test_no_window_is_asked_for() -> None:
    """Drawing does not load pyplot, which would look for a screen and keep every figure."""
    load = "import sys, vocscore.charts.evaluation_charts"
    script = f"{load}; sys.exit('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
