"""The contest of simulated cores: what sleeps, what stays, and what follows from the rates."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import simplejpeg
import torch

from bench import cores, sleeping
from bench.sleeping import SleepingNetwork, Unlocked
from vocscore.pipeline import host

if TYPE_CHECKING:
    from bench.contests import Options


def test_loader_and_score_have_a_rate_for_each_number_of_threads(
    options: Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beside the real ones and the one without decoding; then everything decodes again."""
    monkeypatch.setattr(cores, "THREADS", (1, 2, 4))
    before = simplejpeg.decode_jpeg, host.FILTERS["bilinear"]
    found = list(cores.run(replace(options, images=4)))
    assert [one.key["part"] for one in found] == ["loader", "score"]
    names = {"1 thread", "2 threads", "4 threads", cores.NOTHING}
    for one in found:
        assert set(one.rates) == {*names, "1 thread, real", "2 threads, real"}
        assert one.facts["seconds without the lock"] > 0  # type: ignore[operator]
    assert found[0].facts["cpu seconds per image"] > 0  # type: ignore[operator]
    assert (simplejpeg.decode_jpeg, host.FILTERS["bilinear"]) == before


def test_what_was_measured_is_slept(options: Options, monkeypatch: pytest.MonkeyPatch) -> None:
    """Decoding and resizing of each image, less what a sleep is late; with no share, nothing."""
    asked: list[float] = []
    monkeypatch.setattr(sleeping.time, "sleep", asked.append)
    refs = options.image_set(4).refs
    unlocked = Unlocked([0.5] * 3, [0.25], late=0.125)
    with unlocked.slept():
        assert cores._load(refs, 1, spent=[]).images == len(refs)
    assert sorted(asked) == [0.125] * len(refs) + [0.375] * len(refs)
    asked.clear()
    with unlocked.slept(0.0):
        cores._load(refs, 2, spent=[])
    assert asked == []


def test_what_is_measured_is_every_call(options: Options) -> None:
    """One of each kind per image, and the pixels are the real ones."""
    refs, unlocked = options.image_set(4).refs, Unlocked([9.0], [9.0])
    with unlocked.measured():
        cores._load(refs, 1, spent=[])
    assert len(unlocked.decode) == len(unlocked.resize) == len(refs)
    assert 0 < unlocked.seconds < 1


def test_missing_images_are_no_rate(options: Options, monkeypatch: pytest.MonkeyPatch) -> None:
    """A loader that drops an image gets none."""
    refs = options.image_set(4).refs
    monkeypatch.setattr(simplejpeg, "decode_jpeg", lambda *_, **__: 1 / 0)
    with pytest.raises(RuntimeError, match="ZeroDivisionError"):
        cores._load(refs, 1, spent=[])
    with pytest.raises(ValueError, match="0 of 1"):
        cores._load([replace(refs[0], file="/nowhere")], 1, spent=[])


def test_a_sleeping_network_answers_for_every_image(monkeypatch: pytest.MonkeyPatch) -> None:
    """In float32, after its batches before; they wait for each other."""
    asked: list[float] = []
    monkeypatch.setattr(sleeping.time, "sleep", asked.append)
    monkeypatch.setattr(sleeping.time, "perf_counter", lambda: 10.0)
    network = SleepingNetwork(20)
    both = [network.submit(torch.zeros(32, 3, 8, 8, dtype=torch.uint8)) for _ in range(2)]
    assert [one().shape for one in both] == [(32, 20)] * 2
    assert asked == pytest.approx([sleeping.GROUP_SECONDS, 2 * sleeping.GROUP_SECONDS])


def test_what_follows_from_the_rates() -> None:
    """The share of the ideal rate, the most that one process reaches, and its cores."""
    medians = {"1 thread": 100.0, "2 threads": 190.0, "4 threads": 300.0, "8 threads": 280.0}
    others = {"16 threads": 270.0, "32 threads": 260.0}
    real = {"1 thread, real": 80.0, "2 threads, real": 190.0}
    lines, facts = cores.conclusions({**medians, **others, **real})
    assert facts["most images/s"] == 300.0
    assert facts["cores that one process feeds"] == 3.0
    assert facts["simulated to real"] == {"1": 1.25, "2": 1.0}
    assert "at least 90% up to 2 threads" in lines
    assert "one process reaches 300 images/s: 3 cores that decode" in lines
