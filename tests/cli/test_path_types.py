"""Paths that are not what an argument takes: one line with the path, what is wanted, the cure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
import pytest
from click.testing import CliRunner

from vocscore.cli.main import COMMANDS, main
from vocscore.cli.path_types import PathType

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a file, a folder, a run's files and a tar, to be in."""
    for name in ("file", "model.onnx", "weights.pth", "train-000000.tar"):
        (tmp_path / name).write_bytes(b"x")
    for folder in ("folder", "run", "unfinished", "shards"):
        (tmp_path / folder).mkdir()
    for name in ("run/model.safetensors", "run/model.json", "unfinished/resume.pt"):
        (tmp_path / name).write_bytes(b"{}")
    (tmp_path / "shards" / "dataset.json").write_text("{}")
    (tmp_path / "dangling").symlink_to("nowhere")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refused(*words: str) -> str:
    """The one line with which a command refuses its arguments."""
    done = CliRunner().invoke(main, list(words))
    assert done.exit_code == 2, done.output
    assert done.output.startswith("Error: ")
    assert done.output.count("\n") == 1
    return done.output


SCORE = ("score", "folder", "-o", "p.csv", "-m")
TRAIN = ("train", "folder", "-o")


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        ((*SCORE, "model.onnx"), ["-m model.onnx: a file", "vocscore train", "exported model"]),
        ((*SCORE, "run/model.safetensors"), ["run/model.safetensors", "name that folder"]),
        ((*SCORE, "run/model.json"), ["is in run: name that folder"]),
        ((*SCORE, "weights.pth"), ["-m weights.pth", "--weights FILE"]),
        ((*SCORE, "nowhere"), ["-m nowhere: no such folder"]),
        ((*SCORE, "dangling"), ["-m dangling: no such folder"]),
        ((*SCORE, "file/run"), ["-m file/run: file is a file, not a folder"]),
        ((*SCORE, "unfinished"), ["unfinished/model.json", "--resume"]),
        ((*SCORE, "shards"), ["shards/model.json", "packed images, not a model"]),
        ((*SCORE, "folder"), ["folder/model.json", "vocscore train"]),
        (("score", "folder", "-m", "run", "-o", ""), ["-o '': an empty path"]),
        (
            ("score", "folder", "-m", "run", "-o", "https://host/p.csv"),
            ["https://host/p.csv: a URL", "only files are written"],
        ),
        (
            ("score", "folder", "-m", "run", "-o", "p.csv", "--json", "folder"),
            ["--json folder: a folder", "folder/summary.json"],
        ),
        (
            ("score", "folder", "-m", "run", "-o", "p.csv", "--quarantine", "file"),
            ["--quarantine file: a file"],
        ),
        ((*TRAIN, "file"), ["-o file: a file, not a folder"]),
        (("train", "nowhere", "-o", "new"), ["SHARDS nowhere: no such folder", "vocscore pack"]),
        (("train", "train-000000.tar", "-o", "new"), ["train-000000.tar", "name that folder"]),
        (
            ("train", "hdfs://bucket/shards", "-o", "new"),
            ["hdfs://bucket/shards: object storage is not read"],
        ),
        (("train", "folder", "-o", "new"), ["folder: no dataset.json"]),
        (("pack", "file", "-o", "new"), ["SRC file: a file, not a folder"]),
        (("pack", "nowhere", "-o", "new"), ["SRC nowhere: no such folder"]),
        (
            ("pack", "hdfs://bucket/voc", "-o", "new"),
            ["hdfs://bucket/voc: object storage is not read"],
        ),
        (("pack", "folder", "-o", "file"), ["-o file: a file, not a folder"]),
        (("pack", "folder", "-o", "new", "--labels", "no.csv"), ["--labels no.csv: no such file"]),
        (("pack", "folder", "-o", "new", "--coco", "folder"), ["--coco folder: a folder"]),
        (("eval", "no.csv", "folder"), ["PREDICTIONS no.csv: no such file or folder"]),
        (("eval", "file", "nowhere"), ["SHARDS nowhere: no such folder"]),
        (("eval", "file", "folder", "--plots", "file"), ["--plots file: a file"]),
        (("verify", "file"), ["SHARDS file: a file, not a folder"]),
        (("quantize", "model.onnx"), ["RUN model.onnx: a file", "exported model"]),
        (("quantize", "run", "--shards", "nowhere"), ["--shards nowhere: no such folder"]),
        (("export", "model.onnx", "-o", "x.onnx"), ["RUN model.onnx: a file"]),
        (("export", "run", "-o", "folder"), ["-o folder: a folder", "folder/model.onnx"]),
        (("export", "run", "-o", "x.onnx", "--images", "file"), ["--images file: a file"]),
        (("demo", "-o", "file"), ["-o file: a file, not a folder"]),
    ],
)
def test_a_path_of_another_kind(place: Path, words: tuple[str, ...], parts: list[str]) -> None:
    """Each argument says which path, what it is, what is taken, and where it can the way out."""
    line = refused(*words)
    for part in parts:
        assert part in line


def test_a_name_with_a_line_break_stays_on_one_line(place: Path) -> None:
    """What a name holds cannot break the line or move the cursor."""
    line = refused("verify", "no\nsuch\x1b[2J\udcff")
    assert "no\\nsuch\\x1b[2J\\udcff" in line


def test_a_folder_that_may_not_be_read(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Permission is looked at, too."""
    monkeypatch.setattr("os.access", lambda *_: False)
    assert "cannot be read" in refused("verify", "folder")


def test_every_path_has_such_a_line() -> None:
    """No argument or option of a command has click's own wording; SRC of `score` takes more."""
    for name in COMMANDS:
        command = main.get_command(None, name)  # type: ignore[arg-type]
        for parameter in command.params:
            if isinstance(parameter.type, click.Path) and (name, parameter.name) != (
                "score",
                "src",
            ):
                assert isinstance(parameter.type, PathType), (name, parameter.name)


def test_no_message_has_clicks_words(place: Path) -> None:
    """'Directory 'x' is a file' is nowhere."""
    for words in ((*SCORE, "file"), (*TRAIN, "file"), ("verify", "file")):
        assert "Directory" not in refused(*words)


@pytest.mark.parametrize("url", ["s3://", "gs:///", "hf://name"])
@pytest.mark.usefixtures("place")
def test_a_url_that_names_no_bucket_or_repository_is_one_line(url):
    """Wherever a URL may be given, and before anything is asked or made."""
    given = ("score", url, "-m", "run", "-o", "o.csv"), ("score", "x", "-m", url, "-o", "o.csv")
    written = ("score", "x", "-m", "run", "-o", url), ("merge", url)
    for words in (*given, ("plan", url, "-m", "run"), ("pack", url, "-o", "shards"), *written):
        assert refused(*words).startswith(f"Error: {url}: it names no ")


@pytest.mark.usefixtures("place")
def test_a_mistake_in_the_rest_of_the_line_costs_no_download(monkeypatch):
    """A model or shards are fetched when the whole line was understood."""
    monkeypatch.setattr("vocscore.cli.path_types.fetch_typed", pytest.fail)
    run, shards = ("score", "x", "-m", "s3://b/run"), ("train", "s3://b/shards", "-o", "out")
    for words in (run, (*run, "-o", "o.csv", "--batch-size", "many"), (*shards, "--epochs", "-3")):
        assert "Error: " in CliRunner().invoke(main, words).output
    for words in (run, shards):
        assert CliRunner().invoke(main, [*words, "--help"]).exit_code == 0


@pytest.mark.parametrize("command", ["info", "view", "report", "merge", "eval", "compare"])
def test_a_place_without_a_name(command, tmp_path, monkeypatch):
    """'.' is the folder that it stands for, since files beside it are asked for; '/' is refused."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    words = {"report": ["-o", "r.html"], "eval": ["."], "compare": ["."]}.get(command, [])
    for place, line in ((".", str(tmp_path / "here")), ("/", "Error: /: not the place of")):
        done = CliRunner().invoke(main, [command, place, *words])
        assert done.exit_code == 2
        assert line in done.output
        assert "Traceback" not in done.output
