"""The ceilings of a run, with stages whose speed is known."""

from __future__ import annotations

import time
from types import SimpleNamespace

import numpy as np
import pytest

from shards.sample import PictureRef
from vocscore.score import walls
from vocscore.score.walls import Ceilings, images_per_second, measure_ceilings


def test_the_slowest_stage_is_the_wall() -> None:
    """The wall is the stage with the lowest rate, and the share is of that one."""
    ceilings = Ceilings(read=900.0, decode=200.0, model=50.0)
    assert ceilings.wall == "model"
    assert ceilings.share(45.0) == pytest.approx(0.9)


@pytest.fixture
def stages(tmp_path, monkeypatch):
    """Six pictures of which two are bad; decoding sleeps 2 ms a picture, the network 10 ms."""
    monkeypatch.setattr(walls, "SECONDS_A_WALL", 0.2)
    refs = []
    for number in range(6):
        (tmp_path / str(number)).write_bytes(b"x")
        refs.append(PictureRef(str(number), str(tmp_path / str(number))))

    def batches(pictures):
        time.sleep(0.002 * len(pictures))
        good = [row for row in range(len(pictures)) if row % 3]
        bad = [row for row in range(len(pictures)) if not row % 3]
        yield SimpleNamespace(images=good, rows=np.array(good), failures=tuple(bad))

    def model(images):
        def work():
            time.sleep(0.010 * len(images))
            return len(images)

        return images_per_second(work)

    return refs, SimpleNamespace(batches=batches), model


def test_each_stage_is_measured_by_itself(stages) -> None:
    """A network of 10 ms a picture cannot exceed 100 a second, decoding of 2 ms not 500."""
    refs, maker, model = stages
    ceilings = measure_ceilings(refs, maker=maker, model=model)
    assert ceilings is not None
    assert 20 < ceilings.model <= 100
    assert 100 < ceilings.decode <= 500
    assert ceilings.read > ceilings.decode
    assert ceilings.wall == "model"


def test_nothing_is_claimed_where_no_picture_is_good(stages) -> None:
    """Without one decodable picture there are no ceilings."""
    refs, _, model = stages
    maker = SimpleNamespace(
        batches=lambda pictures: [
            SimpleNamespace(images=[], rows=np.array([]), failures=tuple(pictures))
        ]
    )
    assert measure_ceilings(refs, maker=maker, model=model) is None
