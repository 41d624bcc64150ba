"""The GPU and its JPEG engines in the summary of a run, where one scored in this process."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from vocscore.cli.score_summary import summarize
from vocscore.scoring.engines import opened
from vocscore.scoring.engines.factory import EngineOpener
from vocscore.scoring.engines.local import LocalEngine
from vocscore.scoring.engines.opened import OpenedEngine
from vocscore.scoring.score_report import ScoreReport

if TYPE_CHECKING:
    from vocscore.scoring.engines.processes import WorkerEngine

OPENER = EngineOpener(
    checkpoint=Path("run"),
    identity="",
    loader="auto",
    device="cuda:1",
    precision="float32",
    batch_size=1,
    threads=1,
    max_pixels=1,
)
LOCAL, WORKERS = object.__new__(LocalEngine), object()


@pytest.mark.parametrize(
    ("engine", "device", "line"),
    [
        (LOCAL, "cuda:1", "the GPU cuda:1"),
        (LOCAL, "cpu", None),
        (WORKERS, "cuda:1", None),
    ],
)
def test_a_gpu_is_named_where_this_process_uses_it(
    monkeypatch: pytest.MonkeyPatch,
    engine: LocalEngine | WorkerEngine,
    device: str,
    line: str | None,
) -> None:
    """Not for workers: asking would take memory of each GPU in this process as well."""
    monkeypatch.setattr(opened, "described_gpu", lambda device: f"the GPU {device}")
    assert OpenedEngine(engine, replace(OPENER, device=device)).gpu == line


def test_the_line_and_the_key_are_there_only_with_a_gpu(capsys: pytest.CaptureFixture[str]) -> None:
    """A run on a CPU has the summary and the JSON that it had."""
    report = ScoreReport(1, 0, {}, 0, (), 1.0, Path("p.csv"))
    summarize(report, quarantine=None, err=False)
    assert "GPU" not in capsys.readouterr().out
    assert "gpu" not in report.to_json()
    report = replace(report, gpu="NVIDIA H100 80GB HBM3, 7 JPEG engines")
    summarize(report, quarantine=None, err=False)
    assert "GPU: NVIDIA H100 80GB HBM3, 7 JPEG engines\n" in capsys.readouterr().out
    assert report.to_json()["gpu"] == report.gpu
