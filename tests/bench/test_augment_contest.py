"""The contest of augmented loaders."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bench.augment import OURS, PLAIN, USUAL, ReadAugmented, compare_augmented
from bench.images import make_images
from vocscore.pipeline.preprocess import Preprocess

if TYPE_CHECKING:
    from pathlib import Path


def test_the_contest_compares_with_and_without(tmp_path: Path) -> None:
    """Each contestant has a rate, the usual loader is the baseline, and costs are told."""
    images = make_images(tmp_path / "images", images=6, kind="thumbnails")
    outcome = compare_augmented(images.refs, tmp_path, repeats=1)
    assert outcome.baseline == USUAL
    assert {USUAL, PLAIN, OURS} < set(outcome.rates)
    assert all(rate.median > 0 for rate in outcome.rates.values())
    assert len(outcome.lines) == 2


def test_the_usual_loader_augments(tmp_path: Path) -> None:
    """What is compared with does the same kind of work: another image each time."""
    images = make_images(tmp_path / "images", images=1, kind="thumbnails")
    read = ReadAugmented(Preprocess(size=32))
    first, second = (read(images.refs[0].file).numpy() for _ in range(2))
    assert first.shape == (3, 32, 32)
    assert not np.allclose(first, second)
