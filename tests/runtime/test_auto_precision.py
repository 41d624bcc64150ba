"""How much faster int8 is than another arithmetic: measured in turn, once per machine and model."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import torch

from vocscore.errors import CheckpointError, DeviceError
from vocscore.models.card import ModelCard
from vocscore.pipeline.preprocess import Preprocess
from vocscore.runtime import auto_precision, openvino
from vocscore.runtime.auto_precision import (
    Chosen,
    Wanted,
    choose_precision,
    measure_speedup,
)
from vocscore.runtime.compile_cache import folder

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from vocscore.runtime.asked import Asked

CARD = ModelCard("squeezenet1_1", ("a", "b"), Preprocess(size=64), 0.5, "none", precision="bf16")
IDENTITY = "1" * 64
WANTED = Wanted("auto", 32)


class Timed:
    """A runtime whose batches take some seconds of a clock that it moves itself."""

    in_flight = 3

    def __init__(self, seconds: list[float], order: list[Timed]) -> None:
        self.seconds, self.order = seconds, order
        self.batches = 0

    def submit(self, _images: torch.Tensor) -> Callable[[], None]:
        """Note the batch; its time passes when it is fetched."""
        self.batches += 1
        self.order.append(self)
        return lambda: None

    def spent(self) -> float:
        """Seconds of all batches so far; the list has those of the first ones, the last repeats."""
        times = [self.seconds[min(n, len(self.seconds) - 1)] for n in range(self.batches)]
        return sum(times)


@pytest.mark.parametrize(
    ("one", "other", "speedup", "rounds"),
    [
        ([0.01], [0.005], 2.0, 5),  # small networks: five rounds
        ([0.9], [0.9], 1.0, 1),  # large ones: a round says enough
        ([0.05, 0.05, 0.01], [0.01, 0.01, 0.005], 2.0, 5),  # the first batches warm up
    ],
)
def test_all_streams_are_timed_in_turn(
    one: list[float], other: list[float], speedup: float, rounds: int
) -> None:
    """The fastest round of each counts; a round has as many batches as there are streams."""
    order: list[Timed] = []
    plain, quick = Timed(one, order), Timed(other, order)
    images = torch.zeros(1)
    found = measure_speedup(
        plain,  # type: ignore[arg-type]
        quick,  # type: ignore[arg-type]
        images=images,
        clock=lambda: plain.spent() + quick.spent(),
    )
    assert found == pytest.approx(speedup)
    assert order == [plain, plain, quick, quick] * rounds


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the report of a faithful int8 model, on a machine without measurements."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    write_report(tmp_path / "run")
    return tmp_path / "run"


def write_report(run: Path, **changes: object) -> None:
    report = {"checkpoint": IDENTITY, "sha256": "2" * 64, "pictures": 50, "largest": 0.011}
    (run / "int8").mkdir(parents=True, exist_ok=True)
    written = {**report, "changed": 0.001, **changes}
    (run / "int8/report.json").write_text(json.dumps(written))


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Asked, ...]]:
    """What is opened and measured, each time as 1.5 times as fast."""
    every: list[tuple[Asked, ...]] = []

    def measure(*asked: Asked, images: torch.Tensor) -> float:
        assert images.shape == (32, 3, 64, 64)
        every.append(asked)
        return 1.5

    monkeypatch.setattr(auto_precision, "take", lambda _folder, *, identity: identity)
    monkeypatch.setattr(auto_precision, "open_files", lambda _files, asked: asked)
    monkeypatch.setattr(auto_precision, "measure_speedup", measure)
    return every


def choose(run: Path, card: ModelCard = CARD, *, wanted: Wanted = WANTED) -> Chosen:
    return choose_precision(wanted, card, folder=run, identity=IDENTITY, device="cpu")


@pytest.mark.parametrize(
    ("native", "card", "than"),
    [
        (True, CARD, "bf16"),
        (True, replace(CARD, precision="float32"), "float32"),
        (False, CARD, "float32"),
    ],
)
def test_it_is_compared_with_what_auto_would_take(
    run: Path,
    measured: list[tuple[Asked, ...]],
    monkeypatch: pytest.MonkeyPatch,
    *,
    native: bool,
    card: ModelCard,
    than: str,
) -> None:
    """bf16 where it is faithful and native, else float32; and the reason names it."""
    monkeypatch.setattr(openvino, "has_bf16", lambda: native)
    chosen = choose(run, card)
    ((plain, quick),) = measured
    assert (plain.precision, quick.precision, quick.int8) == (than, "int8", "2" * 64)
    assert chosen.precision == "int8"
    assert chosen.reason == (
        f"1.5 times as fast as {than} here; probabilities differ from float32's by at most "
        "0.011, 0.10% of the decisions (50 images)"
    )


def test_it_is_measured_once(run: Path, measured: list[tuple[Asked, ...]]) -> None:
    """The next start reads the number; another 8-bit model is measured by itself."""
    assert choose(run) == choose(run)
    assert len(measured) == 1
    cache = folder()
    assert cache is not None
    (kept,) = cache.glob("*.speed")
    write_report(run, sha256="3" * 64)
    choose(run)
    assert len(measured) == 2
    write_report(run)
    for number, damaged in enumerate((b"damaged", b"nan", b"-1", b"inf"), start=3):
        kept.write_bytes(damaged)
        choose(run)
        assert len(measured) == number


def test_int8_that_cannot_be_computed_is_not_taken(
    run: Path, measured: list[tuple[Asked, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where OpenVINO compiles it wrong each time: the run goes on without it."""

    def fails(_files: object, asked: Asked) -> Asked:
        if asked.precision == "int8":
            raise DeviceError("compiled 3 times")
        return asked

    monkeypatch.setattr(auto_precision, "open_files", fails)
    monkeypatch.setattr(openvino, "has_bf16", lambda: False)
    because = "because int8 cannot be used: compiled 3 times"
    assert choose(run) == Chosen("float32", because)
    assert not measured


@pytest.mark.parametrize("name", ["float32", "bf16", "int8"])
def test_what_is_named_is_taken(
    run: Path, measured: list[tuple[Asked, ...]], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Without a measurement or a reason."""
    monkeypatch.setattr(openvino, "has_bf16", lambda: True)
    chosen = choose(run, wanted=Wanted(name, 32, begun="int8"))
    assert (chosen.precision, chosen.reason, measured) == (name, "", [])
    assert chosen.int8 == ("2" * 64 if name == "int8" else None)


def test_a_gpu_does_not_take_it(run: Path, measured: list[tuple[Asked, ...]]) -> None:
    """int8 runs on the CPU only."""
    card = replace(CARD, precision="float32")
    chosen = choose_precision(WANTED, card, folder=run, identity=IDENTITY, device="cuda:0")
    assert (chosen, measured) == (Chosen("float32"), [])


@pytest.mark.parametrize(
    ("begun", "native", "precision", "reason"),
    [
        ("int8", True, "int8", "with which the run began"),
        ("bf16", True, "bf16", ""),
        ("float32", True, "float32", "with which the run began"),
        ("bf16", False, "float32", ""),  # the run will be refused
    ],
)
def test_what_a_run_began_with_stays(
    run: Path,
    measured: list[tuple[Asked, ...]],
    monkeypatch: pytest.MonkeyPatch,
    *,
    begun: str,
    native: bool,
    precision: str,
    reason: str,
) -> None:
    """If this machine has it; also for fewer images than int8 is worth."""
    monkeypatch.setattr(openvino, "has_bf16", lambda: native)
    chosen = choose(run, wanted=replace(WANTED, begun=begun))
    assert chosen.precision == precision
    assert (chosen.reason, measured) == (reason, [])


def test_a_report_that_is_none(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Named, it is an error; with auto, a reason."""
    monkeypatch.setattr(openvino, "has_bf16", lambda: False)
    (run / "int8/report.json").write_text("[1]")
    with pytest.raises(CheckpointError, match=r"report\.json: damaged"):
        choose(run, wanted=Wanted("int8", 32))
    assert "damaged" in choose(run).reason
