"""`vocscore plan` over real files: what it prints, writes and leaves behind."""

from __future__ import annotations

import json
import shlex
import tarfile

import click
import pytest
from click.testing import CliRunner
from tiny_network import make_checkpoint, make_images

import vocscore as vs
from vocscore.cli import plan as command
from vocscore.cli.main import main

QUICKLY = ["--seconds", "0.2", "--batch-size", "8", "--device", "cpu", "--precision", "float32"]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return make_checkpoint(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A hundred images in a folder, a quarter of them bad."""
    folder = tmp_path_factory.mktemp("in")
    names = [f"{number:03d}.jpg" for number in range(100)]
    return make_images(folder, names, bad=range(0, 100, 4))


@pytest.fixture(autouse=True)
def _short_ceilings(monkeypatch):
    monkeypatch.setattr("vocscore.scoring.ceilings.SECONDS_PER_STAGE", 0.02)


def told(*words):
    done = CliRunner().invoke(main, ["plan", *map(str, words)])
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, done.output


def test_the_printed_command_runs_and_nothing_is_left_behind(
    source, checkpoint, tmp_path, monkeypatch
):
    """What was measured counts a quarter as errors; the command scores what was planned."""
    monkeypatch.chdir(tmp_path)
    words = [source, "-m", checkpoint, "-o", "o.jsonl", "--unit-size", 16, "--top-k", 2, *QUICKLY]
    code, text = told(*words, "--json", "plan.json")
    assert code == 0
    assert [file.name for file in tmp_path.iterdir()] == ["plan.json"]
    value = json.loads((tmp_path / "plan.json").read_bytes())
    assert value["measured"]["images"] == value["planned"]["units"] * 16 - 12 == 100
    sizes = sum(file.stat().st_size for file in source.iterdir())
    assert value["measured"]["bytes"] == pytest.approx(sizes, rel=0.2)
    trial = value["measured"]["trial"]
    assert trial["errors"] / trial["images"] == pytest.approx(0.25, abs=0.1)
    assert value["planned"]["low"] < value["planned"]["seconds"] < value["planned"]["high"]
    assert value["bottleneck"] in ("read", "decode", "model", "write")
    (line,) = value["commands"]
    assert f"  {line}\n" in text
    words = shlex.split(line)
    again = words[words.index("score") :]
    assert "--seconds" not in again
    assert "--json" not in again
    done = CliRunner().invoke(main, again)
    assert done.exit_code == 0, done.output
    assert len((tmp_path / "o.jsonl").read_text().splitlines()) == 100


def test_several_processes_are_told_their_commands(source, checkpoint, monkeypatch):
    """As tasks of a job, and on a cluster, with the options that `score` has."""
    words = [source, "-m", checkpoint, "--processes", 3, *QUICKLY]
    names = {one.name for one in command.score.params}
    missing = [
        click.Option([f"--{name}"]) for name in ("units", "on", "processes") if name not in names
    ]
    monkeypatch.setattr(command.score, "params", [*command.score.params, *missing])
    code, text = told(*words)
    assert code == 0
    assert "1 process: " in text
    assert "3 processes: " in text
    array, merge, ray = text.partition("run:\n")[2].splitlines()
    assert "--units auto" in array
    assert "--processes" not in array
    assert "merge predictions.csv" in merge
    assert "--on ray" in ray
    assert "--processes 3" in ray


def test_the_function_is_the_command(source, checkpoint):
    """The same figures; no file is written, and `print` shows the text."""
    report = vs.plan(
        source, model=checkpoint, seconds=0.2, batch_size=8, device="cpu", progress=False
    )
    assert report.measured.images == 100
    assert report.planned == report.alone
    assert report.unit_size == 2048
    assert str(report).startswith("images: 100, ")
    with pytest.raises(vs.Error, match="`processes` is 0"):
        vs.plan(source, model=checkpoint, processes=0)


def test_what_cannot_be_planned_is_one_line(checkpoint, tmp_path):
    """No images, a name without a format: exit code 2, before anything is measured."""
    (tmp_path / "empty").mkdir()
    make_images(tmp_path, ["a.jpg"], bad=())
    for words, said in (
        ([tmp_path / "empty"], "no image in it"),
        ([tmp_path / "a.jpg", "-o", tmp_path / "o"], "the format is not clear"),
        ([tmp_path / "a.jpg", "--seconds", "0"], "--seconds"),
    ):
        code, text = told(*words, "-m", checkpoint)
        assert code == 2
        assert said in text
        assert "Traceback" not in text


@pytest.mark.parametrize(("load", "warned"), [(3.1, True), (2.9, False)])
def test_a_busy_machine_is_a_warning(checkpoint, tmp_path, monkeypatch, load, warned):
    """More than one and a half waiting processes per core: the plan would be too pessimistic."""
    monkeypatch.setattr("os.getloadavg", lambda: (load, 0.0, 0.0))
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    make_images(tmp_path, ["a.jpg"], bad=())
    code, text = told(tmp_path / "a.jpg", "-m", checkpoint, "--quiet", *QUICKLY)
    assert code == 0
    assert ("warning: a load of 3.1 on 2 cores: the machine may be busy" in text) == warned


def test_a_single_image_is_planned(checkpoint, tmp_path):
    """It is scored again and again: there is a rate, and one unit."""
    make_images(tmp_path, ["a.jpg"], bad=())
    code, text = told(tmp_path / "a.jpg", "-m", checkpoint, *QUICKLY)
    assert code == 0
    assert "images: 1, " in text
    assert "; 1 in all, 1.0 per process" in text


def test_a_source_without_a_good_image_is_planned_with_a_warning(checkpoint, tmp_path):
    """What takes no time to decode says nothing about images."""
    make_images(tmp_path, ["a.jpg", "b.jpg"], bad={0, 1})
    code, text = told(tmp_path, "-m", checkpoint, *QUICKLY)
    assert code == 0
    assert "bottleneck: unknown (no good image in the sample)" in text
    assert "suggestion: no image of the sample could be decoded" in text


@pytest.mark.usefixtures("fetch_cache")
def test_the_printed_commands_name_urls(source, checkpoint, storage):
    """The tasks of a job fetch the model themselves, and write where the plan says."""
    model, out = storage.put_tree(checkpoint, "run"), storage.url("out/p.csv")
    code, text = told(source, "-m", model, "-o", out, "--processes", 2, *QUICKLY)
    assert code == 0, text
    array, merge, _ = text.partition("run:\n")[2].splitlines()
    assert f"-m {model} -o {out}" in array
    assert f"merge {out}" in merge
    assert "out/" not in "".join(storage.keys())


def remote_plan(url, checkpoint, tmp_path):
    """What the command measures of a URL, as JSON."""
    code, text = told(url, "-m", checkpoint, "--json", tmp_path / "plan.json", *QUICKLY)
    assert code == 0, text
    return json.loads((tmp_path / "plan.json").read_bytes())


def test_images_on_object_storage_are_requests(source, checkpoint, tmp_path, storage):
    """One per image, and one for their list; each that is tried is read once there, too."""
    value = remote_plan(storage.put_tree(source, "in"), checkpoint, tmp_path)
    assert value["requests"] == 101
    assert value["measured"]["images"] == 100
    sizes = sum(file.stat().st_size for file in source.iterdir())
    assert value["measured"]["bytes"] == pytest.approx(sizes, rel=0.2)


def test_tars_on_object_storage_are_fetched_and_removed(
    source, checkpoint, tmp_path, storage, monkeypatch
):
    """As a whole; a process is as fast as they come, at most."""
    (tmp_path / "tars").mkdir()
    with tarfile.open(tmp_path / "tars/0.tar", "w") as tar:
        tar.add(source, arcname="in")
    (tmp_path / "scratch").mkdir()
    monkeypatch.setattr("vocscore.pipeline.scratch._folder", lambda _pid: str(tmp_path / "scratch"))
    value = remote_plan(storage.put_tree(tmp_path / "tars", "t"), checkpoint, tmp_path)
    assert value["measured"]["bytes"] == (tmp_path / "tars/0.tar").stat().st_size
    assert value["requests"] == 3
    assert value["images_per_second"] <= value["measured"]["storage"]["one"]["images_per_second"]
    assert not list((tmp_path / "scratch").rglob("*.tar"))
