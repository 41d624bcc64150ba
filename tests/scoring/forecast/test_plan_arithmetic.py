"""From measurements to hours, requests, money and the size of units."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from vocscore.config.planning import PlanningConfig
from vocscore.scoring.ceilings import Ceilings
from vocscore.scoring.forecast.advice import advice
from vocscore.scoring.forecast.arithmetic import (
    Machine,
    Measured,
    Times,
    advised_unit_size,
    forecast,
)
from vocscore.scoring.forecast.joining import RowCosts
from vocscore.scoring.forecast.plan_report import as_duration, as_size
from vocscore.scoring.forecast.storage import Reads, Storage
from vocscore.scoring.forecast.trial import Trial

RATE = 100.0
MEASURED = Measured(
    images=1_000_000,
    counted=True,
    bytes=100_000_000_000,
    tars=None,
    remote=False,
    machine=Machine(cores=4, gpus=0),
    batch_size=64,
    times=Times(listing=20.0, start=10.0, ceilings=4.0, ceilings_after=20.0),
    trial=Trial(images=1000, errors=100, seconds=1000 / RATE, deviation=0.02),
    storage=Storage(Reads(1, 5000, 5e8, 0.0002), Reads(32, 4000, 4e8, 0.008), 100_000),
    ceilings=Ceilings(read=9000, decode=160, model=140),
    rows=RowCosts(write=1e-5, join=2e-6, bytes=250),
)


def many(processes: int, **changes: float) -> PlanningConfig:
    return PlanningConfig(processes=processes, **changes)


def test_one_process_takes_its_parts_one_after_the_other() -> None:
    """Start, listing, 10,000 s of scoring, 2 s of joining and 4 s for the ceilings."""
    planned = forecast(MEASURED, many(1), unit_size=2048)
    assert planned.seconds == pytest.approx(10 + 20 + 10_000 + 2 + 4)
    assert planned.core_hours == pytest.approx(4 * 10_036 / 3600)
    assert planned.gpu_hours == 0
    assert planned.units == 489
    assert planned.output_bytes == 250_000_000
    assert planned.cost is None


def test_processes_wait_for_the_one_with_the_most_units() -> None:
    """489 units by 100 processes: some have five; all pay for starting and listing."""
    planned = forecast(MEASURED, many(100), unit_size=2048)
    assert planned.seconds == pytest.approx(30 + 5 * 20.48 + 2 + 4)
    assert planned.core_hours == pytest.approx(4 * (100 * (30 + 100) + 6) / 3600)


def test_the_range_is_of_the_scoring() -> None:
    """A tenth at least, two standard errors where these are more, a tenth for an estimate."""
    for changes, doubt in (
        ({}, 0.1),
        ({"trial": replace(MEASURED.trial, deviation=0.15)}, 0.3),
        ({"counted": False}, 0.2),
    ):
        planned = forecast(replace(MEASURED, **changes), many(1), unit_size=2048)
        assert planned.high - planned.seconds == pytest.approx(10_000 * doubt)
        assert planned.seconds - planned.low == pytest.approx(10_000 * doubt / (1 + doubt))


def test_ceilings_cost_nothing_where_they_are_not_measured() -> None:
    """Short runs do not, and a run without --ceilings never does."""
    never = replace(MEASURED, times=replace(MEASURED.times, ceilings_after=math.inf))
    assert forecast(never, many(1), unit_size=2048).seconds == pytest.approx(10_032)
    short = replace(MEASURED, images=1000)
    assert forecast(short, many(1), unit_size=2048).seconds == pytest.approx(30 + 10 + 0.002)


def test_requests_are_one_per_image_or_one_per_range_of_a_tar() -> None:
    """And one per thousand names; local files are no requests."""
    assert MEASURED.requests == 0
    assert replace(MEASURED, remote=True).requests == 1_000_000 + 1_000
    tars = replace(MEASURED, remote=True, tars=1500)
    assert tars.requests == -(-100_000_000_000 // (8 << 20)) + 1500 + 2


def test_prices_are_added_up() -> None:
    """Hours of all processes, thousands of requests, gigabytes; those not given are free."""
    remote = replace(MEASURED, remote=True)
    asked = many(10, price_per_hour=3.0, price_per_1000_requests=0.4, price_per_gb=0.09)
    hours = (10 * (30 + 1000) + 6) / 3600
    planned = forecast(remote, asked, unit_size=2048)
    assert planned.cost == pytest.approx(3 * hours + 0.4 * 1001 + 0.09 * 100)
    only = forecast(remote, many(10, price_per_gb=0.09), unit_size=2048)
    assert only.cost == pytest.approx(9)


@pytest.mark.parametrize(
    ("images", "rate", "processes", "given", "wanted"),
    [
        (1_000_000, 100.0, 1, 2048, 2048),  # 20 s each
        (1_000_000, 100.0, 8, 2048, 2048),
        (1_000_000, 100.0, 100, 2048, 448),  # 20 units for each, not 5
        (1_000_000, 2.0, 1, 2048, 576),  # 5 minutes, not 17
        (1_000_000_000, 4000.0, 16, 2048, 20_032),  # 5 seconds, not half a second
        (1_000_000_000, 4000.0, 16, 100_000, 32_768),
        (10_000, 100.0, 50, 2048, 192),  # one unit for each
        (100, 100.0, 1, 2048, 2048),
    ],
)
def test_a_unit_is_some_minutes_at_most_and_a_twentieth_of_a_share(
    images: int, rate: float, processes: int, given: int, wanted: int
) -> None:
    """The given size stays where it is good; others are whole batches."""
    trial = Trial(1000, 0, 1000 / rate, 0.0)
    measured = replace(MEASURED, images=images, trial=trial)
    assert advised_unit_size(measured, processes, given=given) == wanted


@pytest.mark.parametrize(
    ("ceilings", "storage", "rows", "stage"),
    [
        ((160, 140), 5000, 1e-5, "model"),  # 140 good images are 156 with the bad ones
        ((150, 140), 5000, 1e-5, "decode"),
        ((160, 140), 120, 1e-5, "read"),
        ((160, 140), 5000, 1e-2, "write"),
    ],
)
def test_the_bottleneck_is_the_slowest_stage(ceilings, storage, rows, stage) -> None:
    """Each alone; a tenth of the images is bad and never reaches the network."""
    decode, model = ceilings
    reads = Reads(1, storage, storage * 1e5, 1 / storage)
    measured = replace(
        MEASURED,
        ceilings=Ceilings(read=9000, decode=decode, model=model),
        storage=Storage(reads, reads, 100_000),
        rows=RowCosts(rows, 0, 250),
    )
    assert measured.bottleneck == stage
    assert replace(measured, ceilings=None).bottleneck is None


def test_suggestions_follow_from_the_figures() -> None:
    """Each appears where it applies, and only there."""

    def said(measured: Measured, processes: int = 1) -> str:
        planned = forecast(measured, many(processes), unit_size=2048)
        return "\n".join(advice(measured, planned, precision="bf16"))

    assert said(replace(MEASURED, images=10_000, bytes=10**9)) == (
        "the network binds. On a CPU 'vocscore quantize RUN' and `precision='int8'` are the "
        "fastest; a GPU is faster still."
    )
    assert "with 28 processes it would take about an hour" in said(
        replace(MEASURED, images=10_000_000)
    )
    assert "a request of its own: 1,000,000 of them" in said(replace(MEASURED, remote=True))
    assert "a request" not in said(replace(MEASURED, remote=True, tars=1000))
    assert "1,000 tars are few for 100 processes" in said(replace(MEASURED, tars=1000), 100)
    assert "fewer processes" in said(MEASURED, 1000)
    longer = replace(MEASURED, images=2_000_000)  # 977 units: so many processes, at most, commit
    assert "would be busy 80% of the time" in said(longer, 800)
    assert "would be busy 98% of the time" in said(longer, 10**9)
    assert "there are 489 units of work: 999,999,511 of 1,000,000,000" in said(MEASURED, 10**9)
    assert "of work" not in said(MEASURED, 489)
    bad = replace(MEASURED, trial=replace(MEASURED.trial, errors=1000))
    assert "no image of the sample could be decoded" in said(bad)
    assert "busy" not in said(MEASURED, 100)


def test_durations_and_sizes_read_well() -> None:
    """Two digits at least."""
    times = [as_duration(seconds) for seconds in (0.43, 14.2, 99, 720, 12_240, 200_000)]
    assert times == ["0.4 s", "14 s", "99 s", "12 min", "3.4 h", "2.3 days"]
    sizes = [as_size(size) for size in (312, 87_300, 1.44e9, 1.44e13)]
    assert sizes == ["312 bytes", "87 KB", "1.4 GB", "14 TB"]
