"""The contest of raw shards: equal pixels before any rate."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

import bench.raw
from bench.raw import COLD, DISK, FILES, RAW
from vocscore.pipeline import raw_maker

if TYPE_CHECKING:
    import torch

    from bench.contests import Options


def test_every_contestant_has_a_rate_and_every_goal_a_line(options: Options) -> None:
    """Medians of `repeats` rounds, and lines that agree with them."""
    (outcome,) = bench.raw.run(replace(options, repeats=2, images=6))
    assert {FILES, RAW, DISK, COLD} < set(outcome.rates)
    assert all(len(rate.values) == 2 for rate in outcome.rates.values())
    share = outcome.rates[COLD].median / outcome.rates[DISK].median
    goal = "held" if share >= 0.85 else "MISSED"
    assert f"cold: {share:.0%} of the disk (goal 85%: {goal})" in outcome.lines


def test_batches_are_copied_as_often_as_the_images_fill_them() -> None:
    """On a GPU, copying alone is a contestant."""
    assert bench.raw.copying("cpu", batch=4, number=13)() == 12


def test_other_pixels_are_no_contest(options: Options, monkeypatch: pytest.MonkeyPatch) -> None:
    """Shards whose pixels differ in one value are named, and nothing is timed."""
    real = raw_maker.decode_into

    def marked(out: torch.Tensor, *rest: Any, **settings: Any) -> None:
        real(out, *rest, **settings)
        out[0, 0, 0] ^= 1

    monkeypatch.setattr(raw_maker, "decode_into", marked)
    with pytest.raises(ValueError, match="other pixels"):
        next(bench.raw.run(replace(options, images=6)))
