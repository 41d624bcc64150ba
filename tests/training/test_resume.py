"""A training that was stopped goes on, and ends as if nothing had been."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from small_training import fit

from vocscore.errors import TrainError

EVERYTHING: dict[str, Any] = {
    "optimizer": "adamw",
    "learning_rate": 0.003,
    "weight_decay": 0.1,
    "schedule": "cosine",
    "warmup": 1,
    "ema": 0.5,
    "clip": 1.0,
    "keep": "best",
    "patience": 3,
    "batch_size": 2,
}


class StopError(Exception):
    """In place of whatever stops a training."""


def stop_after(epoch: int) -> Any:
    def stop(result: Any) -> None:
        if result.epoch == epoch:
            raise StopError

    return stop


def content(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(out.iterdir())}


def killed(
    shards: Path, folder: Path, how: str, *settings: dict[str, Any]
) -> list[list[dict[str, Any]]]:
    """What each kill left, and what the resume made of it, for each of the settings."""
    program = Path(__file__).with_name("train_and_die.py")
    arguments = [str(shards), str(folder), how, json.dumps(settings)]
    done = subprocess.run(
        [sys.executable, str(program), *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(lines) for lines in done.stdout.splitlines()]


@pytest.mark.slow
def test_killed_at_any_touch_of_the_disk(few_shards: Path, tmp_path: Path) -> None:
    """Killed before any step on the disk, a head's training resumes to the same bytes."""
    settings = {**EVERYTHING, "epochs": 2, "standardize": True}
    (lines,) = killed(few_shards, tmp_path, "steps", settings)
    assert len(lines) > 12, "the run changes its folder more often than that"
    for number, line in enumerate(lines, start=1):
        assert line["resumed"], (number, line)
        assert line["same"], (number, line)
    assert any("resume.pt" in line["left"] for line in lines)


@pytest.mark.slow
def test_killed_after_any_epoch(few_shards: Path, tmp_path: Path) -> None:
    """Killed after an epoch of a whole network's training, it resumes to the same bytes.

    The network has batch statistics and dropout.
    """
    common = {"tune": "all", "epochs": 3, "size": 32}
    settings = ({**EVERYTHING, **common}, {"schedule": "onecycle", "loss": "asl", **common})
    found = killed(few_shards, tmp_path, "epochs", *settings)
    assert len(found) == len(settings)
    for lines in found:
        assert len(lines) >= 2
        assert all(line["resumed"] and line["same"] for line in lines), lines


@pytest.mark.parametrize("schedule", ["constant", "cosine", "onecycle"])
@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
@pytest.mark.parametrize("tune", ["head", "all"])
def test_every_optimizer_and_schedule_resumes(
    tune: str, schedule: str, optimizer: str, few_shards: Path, tmp_path: Path
) -> None:
    """Stopped in the middle, every combination goes on to the same bytes, dropout included."""
    settings = {"schedule": schedule, "optimizer": optimizer, "warmup": 0.5, "epochs": 3}
    settings |= {"tune": tune, "size": 32}
    fit(few_shards, tmp_path / "whole", **settings)
    with pytest.raises(StopError):
        fit(few_shards, tmp_path / "cut", **settings, on_epoch=stop_after(2))
    torch.rand(3)
    heard: list[int] = []
    done = fit(
        few_shards,
        tmp_path / "cut",
        **settings,
        resume=True,
        on_epoch=lambda result: heard.append(result.epoch),
    )
    assert heard == [3]
    assert [result.epoch for result in done.epochs] == [1, 2, 3]
    assert content(tmp_path / "cut") == content(tmp_path / "whole")


def test_progress_goes_on_where_it_was(few_shards: Path, tmp_path: Path) -> None:
    """A resumed whole network's training counts on from the images that it has seen."""
    settings = {"tune": "all", "epochs": 3}
    with pytest.raises(StopError):
        fit(few_shards, tmp_path, **settings, on_epoch=stop_after(2))
    steps: list[tuple[int, int]] = []
    fit(few_shards, tmp_path, **settings, resume=True, on_step=lambda *s: steps.append(s))
    assert steps[0] == (18, 27)
    assert steps[-1] == (27, 27)


def test_resume_without_a_run_starts(few_shards: Path, tmp_path: Path) -> None:
    """Where nothing is, or nothing was finished, a resume is a start."""
    fit(few_shards, tmp_path / "plain")
    fit(few_shards, tmp_path / "nothing", resume=True)
    (tmp_path / "begun").mkdir()
    (tmp_path / "begun" / "config.json").write_text("{}")
    fit(few_shards, tmp_path / "begun", resume=True)
    expected = content(tmp_path / "plain")
    assert content(tmp_path / "nothing") == expected
    assert content(tmp_path / "begun") == expected


def test_finished_run_says_so(few_shards: Path, tmp_path: Path) -> None:
    """A finished run is not touched by a resume, and neither by a second start."""
    fit(few_shards, tmp_path)
    before = content(tmp_path)
    for resume in (True, False):
        with pytest.raises(TrainError, match=r"finished run.*`overwrite=True`"):
            fit(few_shards, tmp_path, resume=resume)
    assert content(tmp_path) == before


def test_unfinished_run_is_not_replaced(few_shards: Path, tmp_path: Path) -> None:
    """A start over an unfinished run is refused with both ways out; overwriting is done."""
    with pytest.raises(StopError):
        fit(few_shards, tmp_path, on_epoch=stop_after(1))
    with pytest.raises(TrainError, match=r"`resume=True`.*`overwrite=True`"):
        fit(few_shards, tmp_path)
    fit(few_shards, tmp_path, overwrite=True)
    assert not (tmp_path / "resume.pt").exists()


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"learning_rate": 0.02}, r"learning_rate was 0\.01 and is 0\.02"),
        ({"epochs": 9}, "epochs was 3 and is 9"),
        ({"seed": 4}, "seed was 0 and is 4"),
        ({"tune": "all"}, "tune was 'head' and is 'all'"),
        ({"val_split": "one"}, "val_split"),
        ({"difficult": "negative"}, "difficult"),
    ],
)
def test_other_settings_are_refused(
    changes: dict[str, Any], named: str, few_shards: Path, tmp_path: Path
) -> None:
    """A resume with another setting names it, in one line, and touches nothing."""
    with pytest.raises(StopError):
        fit(few_shards, tmp_path, epochs=3, on_epoch=stop_after(1))
    before = content(tmp_path)
    with pytest.raises(TrainError, match=named) as caught:
        fit(few_shards, tmp_path, **{"epochs": 3, **changes}, resume=True)
    assert "\n" not in str(caught.value)
    assert content(tmp_path) == before


def test_other_shards_are_refused_and_moved_ones_are_not(
    few_shards: Path, drawn_shards: Path, tmp_path: Path
) -> None:
    """The set is known by its manifest, not by where it lies; threads may differ, too."""
    import shutil

    with pytest.raises(StopError):
        fit(few_shards, tmp_path / "run", on_epoch=stop_after(1))
    with pytest.raises(TrainError, match="shards_sha256"):
        fit(drawn_shards, tmp_path / "run", resume=True)
    shutil.copytree(few_shards, tmp_path / "moved")
    fit(tmp_path / "moved", tmp_path / "run", resume=True, workers=1)


@pytest.mark.parametrize("damage", ["cut", "garbage", "code"])
def test_damaged_state_is_refused(damage: str, few_shards: Path, tmp_path: Path) -> None:
    """A state that is cut short, garbage, or would run code ends in one line, and runs nothing."""
    with pytest.raises(StopError):
        fit(few_shards, tmp_path, on_epoch=stop_after(1))
    file = tmp_path / "resume.pt"
    if damage == "code":
        torch.save({"so_far": Path("x")}, file)
    else:
        file.write_bytes(file.read_bytes()[:200] if damage == "cut" else b"garbage")
    with pytest.raises(TrainError, match=r"resume\.pt: damaged.*`overwrite=True`") as caught:
        fit(few_shards, tmp_path, resume=True)
    assert "\n" not in str(caught.value)
