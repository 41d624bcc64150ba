"""TensorBoard reads what `train --tensorboard` writes."""

from __future__ import annotations

import csv
import time
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from vocscore.cli.main import main
from vocscore.training import run as running
from vocscore.training.history import FIGURES, EpochResult, SplitFigures
from vocscore.training.tensorboard import TensorBoardLog

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from click.testing import Result

SMALL = ("--backbone", "tiny_dropout", "--weights", "none", "--size", 32, "--device", "cpu", "-q")


def train(shards: Path, run: Path, *words: object) -> Result:
    every = ["train", shards, "-o", run, *SMALL, *words]
    return CliRunner().invoke(main, [str(word) for word in every])


def read(run: Path, split: str) -> dict[str, dict[int, float]]:
    """Figure -> epoch -> value, as TensorBoard shows them."""
    events = EventAccumulator(str(run / "tensorboard" / split)).Reload()
    return {
        tag: {event.step: event.value for event in events.Scalars(tag)}
        for tag in events.Tags()["scalars"]
    }


def history(run: Path) -> list[dict[str, str]]:
    with (run / "history.csv").open(newline="") as lines:
        return list(csv.DictReader(lines))


def assert_as_history(run: Path, *, epochs: int) -> None:
    rows = history(run)
    assert len(rows) == epochs
    for split in ("train", "val"):
        found = read(run, split)
        for name in FIGURES:
            expected = {int(row["epoch"]): float(row[f"{split}_{name}"]) for row in rows}
            assert found[name] == pytest.approx(expected, rel=1e-6), (split, name)


def test_every_figure_of_every_epoch(drawn_shards: Path, tmp_path: Path) -> None:
    """Those of history.csv, for both splits, and the rate with which the epoch ended."""
    run = tmp_path / "run"
    words = ("--epochs", 3, "--batch-size", 8, "--schedule", "cosine", "--learning-rate", 0.1)
    result = train(drawn_shards, run, *words, "--tensorboard")
    assert result.exit_code == 0, result.output
    assert_as_history(run, epochs=3)
    rates = read(run, "train")["learning_rate"]
    # 24 images in 3 steps an epoch: the 3rd, 6th and 9th of 9 steps along a cosine from 0.1
    assert rates == pytest.approx({1: 0.0883022, 2: 0.0413176, 3: 0.00301537}, rel=1e-4)
    assert "learning_rate" not in read(run, "val")


def test_a_resumed_run_goes_on(
    drawn_shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that was interrupted and resumed shows the epochs of both halves, each once."""
    run = tmp_path / "run"
    whole = running.run_epochs

    def broken_off(*arguments: Any, **named: Any) -> Iterator[EpochResult]:
        yield next(whole(*arguments, **named))
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(running, "run_epochs", broken_off)
        assert train(drawn_shards, run, "--epochs", 3, "--tensorboard").exit_code == 130
    assert list(read(run, "val")["loss"]) == [1]
    # TensorBoard reads files in the order of their names: the second, then a number that 10 sorts
    # before 9, and which counts all writers of this process
    time.sleep(1)
    result = train(drawn_shards, run, "--epochs", 3, "--tensorboard", "--resume")
    assert result.exit_code == 0, result.output
    assert_as_history(run, epochs=3)


def test_an_epoch_that_is_trained_again(tmp_path: Path) -> None:
    """It takes the place of the one that was not kept, and of those after it."""
    figures = SplitFigures(0.5, 0.4, 0.3, 0.2, 0.1, float("nan"), 0.05)
    for epochs, loss in (((1, 2, 3), 0.5), ((2,), 0.25)):
        # the viewer sorts files by their second, and within it by a counter, as text: 10 before 9
        time.sleep(1 if loss == 0.25 else 0)
        with closing(TensorBoardLog(tmp_path / "run" / "tensorboard")) as log:
            for number in epochs:
                log(EpochResult(number, replace(figures, loss=loss), figures))
    found = read(tmp_path / "run", "train")
    assert found["loss"] == {1: 0.5, 2: 0.25}
    assert "mean_average_precision" not in found, "not a number is no point"


def test_a_new_run_forgets_the_old_one(drawn_shards: Path, tmp_path: Path) -> None:
    """An overwritten run leaves no points of its own, with or without the option."""
    run = tmp_path / "run"
    assert train(drawn_shards, run, "--epochs", 3, "--tensorboard").exit_code == 0
    new = ("--epochs", 2, "--overwrite", "--seed", 1)
    assert train(drawn_shards, run, *new, "--tensorboard").exit_code == 0
    assert_as_history(run, epochs=2)
    assert train(drawn_shards, run, *new).exit_code == 0
    assert not list(run.rglob("events.out.*"))


def test_without_tensorboard(
    drawn_shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line that names the extra, before anything is trained or written."""
    monkeypatch.setattr("vocscore.training.tensorboard.find_spec", lambda _name: None)
    result = train(drawn_shards, tmp_path / "run", "--tensorboard")
    assert result.exit_code == 2
    assert "pip install 'vocscore[tensorboard]'" in result.output
    assert not (tmp_path / "run").exists()
