"""`train --quantize`: the 8-bit model that `vocscore quantize` makes of the run."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner
from small_training import FAST, fit

from vocscore.cli.main import main
from vocscore.config.exporting import AcceptanceConfig
from vocscore.errors import CheckpointError
from vocscore.exporting.quantize import quantize
from vocscore.training import quantizing

if TYPE_CHECKING:
    from pathlib import Path

WORDS = [w for name, value in FAST.items() for w in (f"--{name}", str(value))]


def files(run: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (run / "int8").iterdir()}


def test_it_has_the_bytes_of_the_command(few_shards: Path, tmp_path: Path) -> None:
    """Graph, weights and figures; the report and the config of the run have it."""
    run = tmp_path / "run"
    report = fit(few_shards, run, quantize=True)
    made = files(run)
    assert set(made) == {"model.xml", "model.bin", "report.json"}
    assert quantize(run) == report.quantized
    assert files(run) == made
    assert json.loads((run / "config.json").read_text())["quantize"] is True
    assert not (run / "resume.pt").exists()


def test_without_it_nothing_changes(few_shards: Path, tmp_path: Path) -> None:
    """The checkpoint is the same, and the config does not name the option."""
    fit(few_shards, tmp_path / "with", quantize=True)
    report = fit(few_shards, tmp_path / "without")
    assert report.quantized is None
    for name in ("model.safetensors", "model.json", "metrics.json"):
        with_it = (tmp_path / "with" / name).read_bytes()
        assert (tmp_path / "without" / name).read_bytes() == with_it
    config = json.loads((tmp_path / "without/config.json").read_text())
    assert "quantize" not in config
    assert not (tmp_path / "without/int8").exists()


def test_not_close_enough(
    few_shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run is finished, without an 8-bit model, and a warning names the limits' options."""
    strict = AcceptanceConfig.__dataclass_fields__["max_map_drop"]
    assert strict.default == 0.005
    monkeypatch.setattr("vocscore.exporting.quantize.QuantizeReport.holds", lambda *_limits: False)
    report = fit(few_shards, tmp_path / "run", quantize=True)
    assert report.quantized is None
    (problem,) = report.problems
    assert "`max_map_drop` (now 0.005) and `max_changed` (now 0.01)" in problem
    assert problem.endswith(f"Both are options of: vocscore quantize {tmp_path / 'run'}")
    assert (tmp_path / "run/model.json").exists()
    assert not (tmp_path / "run/resume.pt").exists()


def test_without_nncf_nothing_begins(
    few_shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line with the extra that is missing, before a folder is made."""
    monkeypatch.setitem(sys.modules, "nncf", None)
    monkeypatch.setattr("vocscore.exporting.quantizable.find_spec", lambda _name: None)
    with pytest.raises(CheckpointError, match=r"NNCF.*pip install 'vocscore\[int8\]'"):
        fit(few_shards, tmp_path / "run", quantize=True)
    assert not (tmp_path / "run").exists()


def test_a_resume_makes_it(
    few_shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped while it quantized, also by a run that did not ask for it before."""
    run = tmp_path / "run"

    def stopped(*_arguments: object, **_options: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(quantizing, "quantize", stopped)
        with pytest.raises(KeyboardInterrupt):
            fit(few_shards, run, quantize=True)
    assert (run / "resume.pt").exists()
    report = fit(few_shards, run, quantize=True, resume=True)
    assert report.quantized is not None
    assert not (run / "resume.pt").exists()
    made = files(run)
    fit(few_shards, tmp_path / "straight", quantize=True)
    assert files(tmp_path / "straight") == made


def test_the_command(few_shards: Path, tmp_path: Path) -> None:
    """It prints the figures of `vocscore quantize`; a finished run names that command."""
    run = tmp_path / "run"
    words = ["train", few_shards, "-o", run, *WORDS, "--quantize"]
    result = CliRunner().invoke(main, [str(word) for word in words])
    assert result.exit_code == 0, result.output
    assert f"int8 model: {run / 'int8'} (preset performance)" in result.output
    told = CliRunner().invoke(main, ["quantize", str(run)])
    (figures,) = (line for line in told.output.splitlines() if line.startswith("mAP: "))
    assert figures in result.output.splitlines()
    again = CliRunner().invoke(main, [*map(str, words), "--resume"])
    assert again.output.splitlines()[-1].endswith("already finished; nothing to resume.")
    (run / "int8/report.json").unlink()
    again = CliRunner().invoke(main, [*map(str, words), "--resume"])
    assert f"its int8 model is made by: vocscore quantize {run}" in again.output
