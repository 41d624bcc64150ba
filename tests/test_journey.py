"""The whole job by its commands, from a drawn VOC tree to figures."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import light_training
import pytest
from click.testing import CliRunner, Result

from vocscore.cli.main import main

EXACT = ("--precision", "float32")


def run(*words: object) -> Result:
    """Run a command that must succeed."""
    done = CliRunner().invoke(main, [str(word) for word in words])
    assert done.exit_code == 0, done.output
    return done


def persons(predictions: Path) -> dict[str, float]:
    """Path -> probability of a person."""
    with predictions.open(newline="") as file:
        return {row["path"]: float(row["person"]) for row in csv.DictReader(file)}


@pytest.fixture(scope="module")
def journey(voc_tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with shards, run, predictions.csv, summary.json and eval.json."""
    work = tmp_path_factory.mktemp("journey")
    network = ["--backbone", "squeezenet1_1", "--weights", "none", "--size", 64, "--epochs", 1]
    run("pack", voc_tree, "-o", work / "shards")
    with pytest.MonkeyPatch.context() as patch:
        light_training.skip_charts(patch)
        run("train", work / "shards", "-o", work / "run", *network)
    predictions = work / "predictions.csv"
    summary = ["--ceilings", "--json", work / "summary.json"]
    run("score", voc_tree, "-m", work / "run", "-o", predictions, *summary, *EXACT)
    run("eval", predictions, work / "shards", "--json", work / "eval.json")
    return work


def test_every_image_is_a_row_in_sorted_order(journey: Path, voc_tree: Path) -> None:
    """The rows are the folder's images, each once, sorted by path, with all probabilities."""
    with (journey / "predictions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    images = sorted(path.relative_to(voc_tree) for path in voc_tree.rglob("*.jpg"))
    assert [row["path"] for row in rows] == [path.as_posix() for path in images]
    assert {row["status"] for row in rows} == {"ok"}
    assert all(0 <= float(row["person"]) <= 1 for row in rows)


def test_the_summary_states_the_wall(journey: Path) -> None:
    """Rate, ceilings and the share of the slowest stage agree with one another."""
    summary = json.loads((journey / "summary.json").read_text())
    assert summary["pictures"] == 48
    assert summary["wall"] == min(summary["ceilings"], key=summary["ceilings"].get)
    share = summary["images_per_second"] / min(summary["ceilings"].values())
    assert summary["share_of_wall"] == pytest.approx(share)


def test_training_and_evaluation_give_the_same_figures(journey: Path) -> None:
    """The validation mAP that `train` wrote is the one that `eval` finds in the predictions."""
    predictions, shards = journey / "predictions.csv", journey / "shards"
    run("eval", predictions, shards, "--split", "val", "--json", journey / "val.json")
    evaluated = json.loads((journey / "val.json").read_text())
    trained = json.loads((journey / "run" / "metrics.json").read_text())
    key = "mean_average_precision"
    assert evaluated[key] == pytest.approx(trained["val"][key], abs=1e-4)


def test_what_was_trained_on_is_not_judged(journey: Path) -> None:
    """As the README prints it, `eval` judges the held-out splits; the rest has to be asked for."""
    found = json.loads((journey / "eval.json").read_text())
    assert (found["splits"], found["trained_on"]) == (["val", "test"], 0)
    assert (found["trained_on_known_by"], found["left_out_trained_on"]) == ("record", {"train": 24})
    words = [journey / "predictions.csv", journey / "shards", "--split", "all", "--resamples", 0]
    text = run("eval", *words, "--json", journey / "all.json").output
    assert "24 of these 48 images were trained on" in text
    assert json.loads((journey / "all.json").read_text())["trained_on"] == 24


def test_a_packed_set_scores_like_its_folder(journey: Path, voc_tree: Path) -> None:
    """Scored from shards, each image gets the probabilities that it gets from the folder."""
    out = journey / "from_shards.csv"
    run("score", journey / "shards", "-m", journey / "run", "-o", out, *EXACT)
    found, expected = persons(out), persons(journey / "predictions.csv")
    assert found.keys() <= expected.keys()
    for path, probability in found.items():
        assert probability == pytest.approx(expected[path], abs=1e-5)


def test_by_default_probabilities_are_faithful(journey: Path, voc_tree: Path) -> None:
    """Whatever arithmetic `auto` comes to on this machine, it is within 0.02 of float32."""
    out = journey / "auto.csv"
    run("score", voc_tree, "-m", journey / "run", "-o", out)
    found, expected = persons(out), persons(journey / "predictions.csv")
    assert found.keys() == expected.keys()
    assert max(abs(found[path] - expected[path]) for path in found) <= 0.02


def test_quiet_does_not_hide_that_a_shard_is_cut_short(journey: Path, tmp_path: Path) -> None:
    """With --quiet, too, standard error says which images of a damaged shard are missing."""
    shards = tmp_path / "shards"
    shutil.copytree(journey / "shards", shards)
    tar = shards / "train-000000.tar"
    os.truncate(tar, tar.stat().st_size // 2)
    done = run("score", shards, "-m", journey / "run", "-o", tmp_path / "out.csv", "--quiet")
    assert done.stdout == ""
    assert "warning: " in done.stderr
    assert "train-000000.tar" in done.stderr


@pytest.mark.parametrize("place", ["predictions.csv", "run/model.json", "absent/summary.json"])
def test_a_summary_never_takes_the_place_of_something(journey: Path, place: str) -> None:
    """--json on predictions, into a run or into no folder exits 2 before anything is scored."""
    target = journey / place
    before = target.read_bytes() if target.exists() else None
    words = ["score", journey, "-m", journey / "run", "-o", journey / "new.csv", "--json", target]
    done = CliRunner().invoke(main, [str(word) for word in words])
    assert done.exit_code == 2
    assert "--json" in done.output
    assert not (journey / "new.csv").exists()
    assert (target.read_bytes() if target.exists() else None) == before


def test_a_full_standard_output_is_one_line(journey: Path) -> None:
    """Where the figures cannot be printed, one line on standard error says so, and exit code 2."""
    words = ["-m", "vocscore", "eval", journey / "predictions.csv", journey / "shards"]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, *map(str, words)],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "No space left on device" in done.stderr


@pytest.mark.parametrize(
    "devices",
    [["--device", "cpu"], pytest.param(["--devices", "cpu,cpu"], marks=pytest.mark.slow)],
    ids=" ".join,
)
def test_no_stream_ends_a_run(
    journey: Path, voc_tree: Path, tmp_path: Path, devices: list[str]
) -> None:
    """Standard error closed, output full, a name that latin-1 lacks: exit code 0, every row."""
    out = tmp_path / "\u65e5\u672c.csv"
    words = ["score", voc_tree, "-m", journey / "run", "-o", out, *devices, *EXACT]
    program = [sys.executable, "-m", "vocscore", *map(str, words)]
    done = subprocess.run(
        ["bash", "-c", 'exec "$@" 2>&- > /dev/full', "bash", *program],
        env={**os.environ, "PYTHONIOENCODING": "latin-1"},
        check=False,
    )
    assert done.returncode == 0
    assert out.read_bytes() == (journey / "predictions.csv").read_bytes()
