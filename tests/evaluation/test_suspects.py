"""Suspicious labels are ranked as cleanlab ranks them."""

from __future__ import annotations

import numpy as np
import pytest
from cleanlab.multilabel_classification.rank import (
    get_label_quality_scores,
    get_label_quality_scores_per_class,
)

from vocscore.evaluation.suspects import find_suspects, image_quality, self_confidence


@pytest.fixture(params=range(4))
def case(request: pytest.FixtureRequest) -> tuple[np.ndarray, np.ndarray]:
    """Labels with some wrong ones, and probabilities."""
    generator = np.random.default_rng(request.param)
    probabilities = generator.beta(0.5, 0.5, (70, 2 + request.param))
    labels = (generator.random(probabilities.shape) < probabilities).astype(np.int8)
    labels[:, 0] = 1  # cleanlab wants every class in some image
    labels[0] = 1
    return labels, probabilities.astype(np.float32)


def lists(labels: np.ndarray) -> list[list[int]]:
    return [np.flatnonzero(row).tolist() for row in labels]


def test_scores_are_those_of_cleanlab(case: tuple[np.ndarray, np.ndarray]) -> None:
    """Of each label, and of each image."""
    labels, probabilities = case
    confidence = self_confidence(labels, probabilities)
    want = get_label_quality_scores_per_class(lists(labels), probabilities.astype(np.float64))
    np.testing.assert_allclose(confidence, want, rtol=1e-5, atol=1e-6)
    of_images = get_label_quality_scores(lists(labels), probabilities.astype(np.float64))
    np.testing.assert_allclose(image_quality(confidence), of_images, rtol=1e-5, atol=1e-6)


def test_suspects_are_contradicted_most_suspicious_first(
    case: tuple[np.ndarray, np.ndarray],
) -> None:
    """Exactly those for which the other label is more probable."""
    labels, probabilities = case
    found = find_suspects(labels, probabilities)
    want = {
        (i, c)
        for i, c in np.ndindex(labels.shape)
        if (probabilities[i, c] < 0.5 if labels[i, c] else 1 - probabilities[i, c] < 0.5)
    }
    assert set(zip(found.images.tolist(), found.classes.tolist(), strict=True)) == want
    assert (np.diff(found.self_confidence) >= 0).all()


def test_difficult_labels_are_never_suspects() -> None:
    """-1 has no score, and does not count for its image."""
    labels = np.array([[-1, 1, 0], [1, 0, 0], [-1, -1, -1]], np.int8)
    probabilities = np.array([[0.0, 0.9, 0.2], [0.1, 0.3, 0.6], [0.5, 0.5, 0.5]], np.float32)
    confidence = self_confidence(labels, probabilities)
    assert np.isnan(confidence).tolist() == (labels == -1).tolist()
    quality = image_quality(confidence)
    assert quality[0] == pytest.approx(0.8 * 0.8 + 0.2 * 0.9)
    assert np.isnan(quality[2])
    found = find_suspects(labels, probabilities)
    assert list(zip(found.images.tolist(), found.classes.tolist(), strict=True)) == [(1, 0), (1, 2)]


def test_nothing_to_suspect() -> None:
    """No image, and a perfect model."""
    assert len(find_suspects(np.zeros((0, 3), np.int8), np.zeros((0, 3), np.float32)).images) == 0
    labels = np.eye(3, dtype=np.int8)
    assert len(find_suspects(labels, labels.astype(np.float32)).images) == 0
