"""Which images `quantize` and `export` check on, and whether the model was trained on them."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import pytest
from exported_runs import invoke

from vocscore.config.groups import flat
from vocscore.exporting import quantize
from vocscore.exporting.quantize import QuantizeReport

if TYPE_CHECKING:
    from pathlib import Path

    from vocscore.config.exporting import QuantizeConfig


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Quantizing takes no time; what it was asked to measure on is kept."""
    asked: list[dict[str, Any]] = []

    def measure(checkpoint: Path, config: QuantizeConfig, **_words: Any) -> QuantizeReport:
        asked.append({"checkpoint": checkpoint, **flat(config)})
        return QuantizeReport("precise", 16, 0.5, 0.5, 0.0, 0.0)

    monkeypatch.setattr(quantize, "quantize", measure)
    return asked


def trained(run: Path, shards: Path, *, train: str, val: str, **more: Any) -> Path:
    """Let a run say what it was trained on."""
    sha256 = hashlib.sha256((shards / "dataset.json").read_bytes()).hexdigest()
    config = {"shards": str(shards), "shards_sha256": sha256, "train_split": train}
    (run / "config.json").write_text(json.dumps({**config, "val_split": val, **more}))
    return run


@pytest.mark.parametrize("val", ["val", "test"])
def test_by_default_that_of_the_validation(
    run: Path, packed: Path, measured: list[dict[str, Any]], val: str
) -> None:
    """The split that the run was validated on, and the line says that it was held out."""
    trained(run, packed, train="train", val=val)
    result = invoke("quantize", run)
    assert result.exit_code == 0, result.output
    assert measured[0]["split"] == val
    assert "images was trained on" in result.output
    assert "NOT HELD OUT" not in result.output


def test_figures_on_what_was_trained_on_say_so(
    run: Path, packed: Path, measured: list[dict[str, Any]]
) -> None:
    """--split train is measured, with how many of its images were trained on beside it."""
    trained(run, packed, train="train,test", val="val")
    result = invoke("quantize", run, "--split", "train,val")
    assert measured[0]["split"] == "train,val"
    assert "NOT HELD OUT: 24 of these 40 images were trained on" in result.output


def test_other_shards_have_a_split_of_their_own(
    run: Path, packed: Path, measured: list[dict[str, Any]], tmp_path: Path
) -> None:
    """Where the run's validation split is not in the set, 'val' is asked for, as ever."""
    trained(run, packed, train="train", val="holdout")
    assert invoke("quantize", run, "--shards", packed).exit_code == 0
    assert measured[0]["split"] == "val"


def test_shards_are_found_from_another_folder(
    run: Path, packed: Path, measured: list[dict[str, Any]], tmp_path: Path, monkeypatch: Any
) -> None:
    """A set that was named relative to another folder is found by its absolute place."""
    monkeypatch.chdir(tmp_path)
    place = {"path": str(packed), "listing": "x", "encoding": "original"}
    trained(run, packed, train="train", val="val", packed=place)
    config = json.loads((run / "config.json").read_text())
    (run / "config.json").write_text(json.dumps({**config, "shards": "elsewhere"}))
    assert invoke("quantize", run).exit_code == 0
    assert measured[0]["shards"] == packed
