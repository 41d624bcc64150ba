"""The ceilings of a run, with stages whose speed is known."""

from __future__ import annotations

import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from shards.sample import ImageRef
from vocscore.cli.score_summary import summarize
from vocscore.scoring import ceilings
from vocscore.scoring.ceilings import Ceilings, images_per_second, measure_ceilings
from vocscore.scoring.score_report import ScoreReport


def test_the_slowest_stage_is_the_bottleneck() -> None:
    """The bottleneck is the stage with the lowest rate, and the share is of that one."""
    reached = Ceilings(read=900.0, decode=200.0, model=50.0).reached(45.0)
    assert reached.bottleneck == "model"
    assert reached.share == pytest.approx(0.9)
    assert reached.to_json() == {
        "wall": "model",
        "share_of_wall": reached.share,
        "ceilings_too_low": [],
    }


@pytest.mark.parametrize("rate", [50.1, 85.0, 1000.0])
def test_a_run_faster_than_a_ceiling_reaches_no_share_of_it(rate: float) -> None:
    """Never more than 100%: the stages that were measured too low are named instead."""
    reached = Ceilings(read=900.0, decode=200.0, model=50.0).reached(rate)
    low = [
        name for name, ceiling in (("read", 900), ("decode", 200), ("model", 50)) if rate > ceiling
    ]
    assert reached.share is None
    assert reached.to_json() == {
        "wall": None,
        "share_of_wall": None,
        "ceilings_too_low": low,
    }


def test_bad_images_never_reach_the_model() -> None:
    """Where most images cannot be decoded, the network's ceiling bounds the good ones only."""
    ceilings = Ceilings(read=900.0, decode=400.0, model=50.0)
    reached = ceilings.reached(300.0, good=0.1)
    assert reached.bottleneck == "decode"
    assert reached.share == pytest.approx(0.75)
    assert ceilings.reached(300.0).too_low == ("model",)


def report(images_per_second: float, *, errors: int = 0) -> ScoreReport:
    return ScoreReport(
        images=100,
        resumed=0,
        reasons={"truncated": errors} if errors else {},
        skipped=0,
        problems=(),
        seconds=100 / images_per_second,
        output=Path("p.csv"),
        ceilings=Ceilings(read=900.0, decode=400.0, model=50.0),
    )


def test_the_summary_says_that_a_ceiling_was_measured_too_low(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """In the text and in the JSON; a plain share otherwise."""
    summarize(report(85.0), quarantine=None, err=False)
    said = capsys.readouterr().out
    assert "%" not in said
    assert "bottleneck: unknown; the run was faster than the ceiling of inference" in said
    assert report(85.0).to_json()["share_of_wall"] is None
    summarize(report(45.0), quarantine=None, err=False)
    said = capsys.readouterr().out
    assert "ceilings, images/s: reading 900, decoding 400, inference 50" in said
    assert "bottleneck: inference; reached 90% of it" in said
    assert report(300.0, errors=90).to_json()["wall"] == "decode"


@pytest.fixture
def stages(tmp_path, monkeypatch):
    """Six images of which two are bad; decoding sleeps 2 ms an image, the network 10 ms."""
    monkeypatch.setattr(ceilings, "SECONDS_PER_STAGE", 0.2)
    refs = []
    for number in range(6):
        (tmp_path / str(number)).write_bytes(b"x")
        refs.append(ImageRef(str(number), str(tmp_path / str(number))))

    def batches(images):
        time.sleep(0.002 * len(images))
        good = [row for row in range(len(images)) if row % 3]
        bad = [row for row in range(len(images)) if not row % 3]
        yield SimpleNamespace(images=good, rows=np.array(good), failures=tuple(bad))

    def model(images):
        def work():
            time.sleep(0.010 * len(images))
            return len(images)

        return images_per_second(work)

    return refs, SimpleNamespace(batches=batches), model


def test_each_stage_is_measured_by_itself(stages) -> None:
    """A network of 10 ms an image cannot exceed 100 a second, decoding of 2 ms not 500."""
    refs, loader, model = stages
    ceilings = measure_ceilings(refs, loader=loader, model=model)
    assert ceilings is not None
    assert 2 < ceilings.model <= 100
    assert 10 < ceilings.decode <= 500
    assert ceilings.read > ceilings.decode
    assert ceilings.reached(50.0).bottleneck == "model"


def test_few_images_are_used_again(stages, monkeypatch) -> None:
    """A sample of six is repeated: threads that run out of work would make the ceiling low."""
    refs, loader, model = stages
    asked = []

    def batches(images):
        asked.append(len(images))
        return loader.batches(images)

    assert measure_ceilings(refs, loader=SimpleNamespace(batches=batches), model=model)
    assert asked[0] == 6
    assert min(asked[1:]) >= ceilings.SAMPLE_IMAGES


def test_images_from_a_slow_store_are_read_by_many_threads(stages, monkeypatch) -> None:
    """Where a read waits, one thread's rate is no ceiling: threads wait at the same time."""
    refs, _, _ = stages
    monkeypatch.setattr(ceilings, "usable_cores", lambda: 8)
    monkeypatch.setattr(ceilings, "read_bytes", lambda _ref, **_: time.sleep(0.02))
    assert ceilings._read_rate(refs * 10) > 2 / 0.02


def test_nothing_is_claimed_where_no_image_is_good(stages) -> None:
    """Without one decodable image there are no ceilings."""
    refs, _, model = stages
    loader = SimpleNamespace(
        batches=lambda images: [
            SimpleNamespace(images=[], rows=np.array([]), failures=tuple(images))
        ]
    )
    assert measure_ceilings(refs, loader=loader, model=model) is None
