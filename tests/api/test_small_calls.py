"""Calls with few images, on a network for single ones where that gives the same bits."""

from __future__ import annotations

import numpy as np

import vocscore as vs
from vocscore.api.small import CALLS_BEFORE, MOST_IMAGES, SmallCalls
from vocscore.runtime import Runtime


class Sums(Runtime):
    """Answers each image with its sum, and a little more for images of small batches."""

    def __init__(self, more=0.0):
        self._more = more

    def submit(self, images):
        found = images.double().sum(dim=(1, 2, 3)).float().numpy()[:, None] * (1 + self._more)
        return lambda: found.astype(np.float32)


def small(single):
    opened = []

    def open_single():
        opened.append(True)
        return single

    return SmallCalls(Sums(), open_single, group=4, shape=(3, 8, 8)), opened


def test_a_network_for_single_images_is_opened_when_it_pays_and_once():
    """The first calls do not wait for it."""
    single = Sums()
    calls, opened = small(single)
    assert [calls.single() for _ in range(CALLS_BEFORE)] == [None] * CALLS_BEFORE
    assert not opened
    assert [calls.single() for _ in range(3)] == [single] * 3
    assert len(opened) == 1


def test_one_that_computes_other_bits_is_not_used():
    """By a trial, which is not repeated."""
    calls, opened = small(Sums(more=1e-6))
    assert [calls.single() for _ in range(CALLS_BEFORE + 3)] == [None] * (CALLS_BEFORE + 3)
    assert len(opened) == 1


def test_small_calls_are_the_same_to_the_bit_before_and_after(run_folder, paths):
    """With errors among them; and as part of a larger call."""
    with vs.load(run_folder, device="cpu") as model:
        inputs = [paths[2], "gone.jpg", *paths[5:10]]
        assert len(inputs) < MOST_IMAGES
        expected = np.stack([one.vector for one in model.predict([*inputs, *paths])])[: len(inputs)]
        for _ in range(CALLS_BEFORE + 2):
            found = [one.vector for one in model.predict(inputs)]
            np.testing.assert_array_equal(np.stack(found), expected)
        assert model._small._tried
