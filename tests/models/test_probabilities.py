"""The sigmoid with a temperature, and when a class is predicted: one rule for every caller."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from vocscore.evaluation.metrics import report
from vocscore.models.card import ModelCard
from vocscore.models.probabilities import decide, probabilities, probabilities_of
from vocscore.pipeline.preprocess import Preprocess
from vocscore.runtime.precision import compare
from vocscore.scoring.formats.choice import choose
from vocscore.scoring.formats.selection import EVERYTHING
from vocscore.scoring.output.rows import Rows

if TYPE_CHECKING:
    from pathlib import Path

BORDERS = (0.1, 0.3, 0.7, 0.9, 0.25, 1.0)


def on_the_border(threshold: float) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities (3, 1) just below, at and just above a threshold, and who is predicted."""
    at = np.float32(threshold)
    values = [np.nextafter(at, np.float32(-1)), at, np.nextafter(at, np.float32(2))]
    return np.array(values, np.float32)[:, None], np.array([False, True, True])


@pytest.mark.parametrize("threshold", BORDERS)
def test_the_threshold_itself_is_reached(threshold: float) -> None:
    """Both are compared as float32: float32(0.7) is less than 0.7, and still reaches it."""
    values, expected = on_the_border(threshold)
    assert decide(values, threshold)[:, 0].tolist() == expected.tolist()
    assert decide(values.astype(np.float64), [threshold])[:, 0].tolist() == expected.tolist()
    card = ModelCard("resnet18", ("a",), Preprocess(), threshold, "none")
    assert card.decide(values)[:, 0].tolist() == expected.tolist()


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
@pytest.mark.parametrize("threshold", [0.1, 0.7])
def test_labels_metrics_and_precision_check_agree_on_the_border(
    threshold: float, suffix: str, tmp_path: Path
) -> None:
    """What a writer calls a label, evaluation counts as predicted and bf16's check as a yes."""
    values, expected = on_the_border(threshold)
    values = values.clip(0, 1)
    rows = Rows(("below", "at", "above"), values, {})
    writer = choose(tmp_path / f"x{suffix}", folder_format=None).open(
        ("cat",), threshold, selection=EVERYTHING, origin={}
    )
    part = tmp_path / f"part{suffix}"
    with part.open("wb") as file:
        writer.write(file, rows)
    assert labeled(part) == expected.tolist()
    figures = report(np.ones((3, 1), np.int8), values, threshold=threshold)
    assert figures.per_class.recall[0] == pytest.approx(expected.mean())
    below = np.zeros_like(values)
    assert compare(values, below, threshold=threshold).changed == pytest.approx(expected.mean())


def labeled(part: Path) -> list[bool]:
    """Which rows of a part have the label."""
    if part.suffix == ".parquet":
        import pyarrow.parquet

        labels = pyarrow.parquet.read_table(part)["labels"].to_pylist()
        return [found == ["cat"] for found in labels]
    lines = part.read_text().splitlines()
    ending = ",cat" if part.suffix == ".csv" else '"labels": ["cat"]}'
    return [line.endswith(ending) for line in lines]


@pytest.mark.parametrize("temperature", [0.3, 1.0, 4.0])
def test_half_types_are_computed_in_float32(temperature: float) -> None:
    """bf16 and float16 logits give float32 probabilities, as their float32 values do."""
    logits = torch.linspace(-20, 20, 101)
    for dtype in (torch.bfloat16, torch.float16):
        rounded = logits.to(dtype)
        found = probabilities(rounded, temperature)
        assert found.dtype == torch.float32
        assert torch.equal(found, probabilities(rounded.float(), temperature))


def test_float64_is_rounded_once() -> None:
    """In float64 the sigmoid is SciPy's, rounded to float32 at the end."""
    from scipy.special import expit

    logits = np.random.default_rng(0).normal(0, 8, (1000, 3))
    found = probabilities_of(logits, temperature=1.7)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, expit(logits / 1.7).astype(np.float32))


def test_softmax_predicts_the_most_probable_class_if_it_is_reached() -> None:
    """At most one class per image, the first of equal ones, none below its threshold, never NaN."""
    values = np.array([[0.2, 0.5, 0.3], [0.4, 0.4, 0.2], [0.1, 0.2, np.nan], [np.nan] * 3])
    everything = decide(values, 0.0, "softmax")
    assert everything.tolist() == [
        [False, True, False],
        [True, False, False],
        [False, True, False],
        [False, False, False],
    ]
    per_class = decide(values, [0.0, 0.6, 0.0], "softmax")
    assert per_class.any(axis=1).tolist() == [False, True, False, False]
    assert decide(values[0], 0.0, "softmax").tolist() == everything[0].tolist()
    assert decide(np.empty((0, 3), np.float32), 0.5, "softmax").shape == (0, 3)


def test_the_card_applies_its_activation() -> None:
    """Softmax sums to 1 and is that of logits / temperature; without one, values stay."""
    logits = torch.tensor([[1.0, 3.0, 2.0], [-1.0, -2.0, 0.0]])
    names = ("a", "b", "c")
    card = ModelCard("x", names, Preprocess(), 0, "none", temperature=2.0, activation="softmax")
    exact = np.exp(logits.numpy().astype(np.float64) / 2)
    expected = exact / exact.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(card.probabilities(logits).numpy(), expected, rtol=1e-6)
    assert card.decide(card.probabilities(logits).numpy()).argmax(axis=1).tolist() == [1, 2]
    assert ModelCard.from_json(card.to_json()) == card
    plain = ModelCard("x", names, Preprocess(), 0.5, "none", activation="none")
    assert torch.equal(plain.probabilities(logits), logits)
    with pytest.raises(ValueError, match="temperature must be 1"):
        ModelCard("x", names, Preprocess(), 0.5, "none", activation="none", temperature=2.0)


def test_the_checks_of_other_precisions_count_changed_classes() -> None:
    """With softmax a decision changes where another class becomes the most probable one."""
    exact = np.array([[0.34, 0.33, 0.33], [0.8, 0.1, 0.1]], np.float32)
    other = np.array([[0.33, 0.34, 0.33], [0.7, 0.2, 0.1]], np.float32)
    found = compare(exact, other, threshold=0.0, activation="softmax")
    assert found.changed == 2 / 6
    assert compare(exact, other, threshold=0.0).changed == 0
