"""Memory of images at the same time: bounded, always enough for one, and given back."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
from encoded import drawn, encoded

from shards.images import image_file, memory
from shards.images.budget import Budget


class Watched:
    """Threads that claim, with the most that was claimed at a time by those that work."""

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        self.lock = threading.Lock()
        self.now = self.most = self.most_images = self.images = 0

    def work(self, *sizes: int) -> None:
        with self.budget.image():
            for size in sizes:
                self.budget.claim(size)
            with self.lock:
                self.now += sum(sizes)
                self.images += 1
                self.most = max(self.most, self.now)
                self.most_images = max(self.most_images, self.images)
            time.sleep(0.002)
            with self.lock:
                self.now -= sum(sizes)
                self.images -= 1

    def run(self, works: list[tuple[int, ...]]) -> None:
        threads = [threading.Thread(target=self.work, args=sizes) for sizes in works]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        assert not any(thread.is_alive() for thread in threads)


def test_claims_stay_below_the_limit() -> None:
    """Small images run side by side, as many as fit."""
    watched = Watched(Budget(100))
    watched.run([(30,)] * 24)
    assert 60 <= watched.most <= 100


def test_an_image_above_the_limit_is_worked_on_alone() -> None:
    """It waits for the others, and they wait for it."""
    watched = Watched(Budget(100))
    watched.run([(10,), (500,), (10,), (700,), (10,)] * 3)
    assert watched.most == 700


def test_two_claims_of_an_image_never_block_each_other() -> None:
    """Many that hold their file and wait for their pixels: one after the other goes on."""
    watched = Watched(Budget(100))
    watched.run([(40, 90)] * 16)
    assert watched.images == 0


def test_what_was_claimed_is_given_back_after_an_error() -> None:
    """Otherwise the next image would wait forever."""
    budget = Budget(10)

    def fail() -> None:
        with budget.image():
            budget.claim(10)
            raise ValueError("bad")

    for _ in range(3):
        with pytest.raises(ValueError, match="bad"):
            fail()


def test_decoding_claims_what_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    """At least three bytes per pixel of what is decoded, within the block of `spared` only."""
    claimed: list[int] = []
    budget = Budget(1 << 30)
    monkeypatch.setattr(budget, "claim", claimed.append)
    monkeypatch.setattr(image_file, "IMAGES", budget)
    image = drawn(640, 480)
    for data in (encoded(image, "PNG"), encoded(image, "JPEG")):
        claimed.clear()
        pixels = memory.spared(lambda data=data: image_file.decode(data, max_pixels=10**6))
        assert pixels.shape == (480, 640, 3)
        assert sum(claimed) >= np.prod(pixels.shape)
    claimed.clear()
    image_file.decode(encoded(image, "JPEG", progressive=True), max_pixels=10**6)
    assert sum(claimed) >= 9 * 640 * 480
