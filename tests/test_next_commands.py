"""What pack, train and score say is next runs as printed."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import pytest
import torch
import torchvision
from click.testing import CliRunner
from test_pack_command import voc

from vocscore.cli.main import main
from vocscore.cli.shown_commands import free_path, program, typed_again

if TYPE_CHECKING:
    from click.testing import Result

    from vocscore.config.training import TrainConfig


def run(*words: object) -> Result:
    result = CliRunner().invoke(main, [str(word) for word in words])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result


def shown(result: Result, before: str) -> list[str]:
    """The words of the command that a line shows."""
    (line,) = [line for line in result.stdout.splitlines() if line.startswith(before)]
    words = shlex.split(line.removeprefix(before))
    assert words[0] == "vocscore"
    return words[1:]


class Trained(Exception):  # noqa: N818 - nothing is wrong
    """Training got as far as its data."""


@pytest.fixture
def training(monkeypatch: pytest.MonkeyPatch) -> None:
    """`vocscore train` opens its splits and then stops."""
    from vocscore.training import train as module
    from vocscore.training.run_folder import check_room
    from vocscore.training.splits import load_splits

    def opened(
        shards: Path, out: Path, config: TrainConfig, _compute: object, **asked: Any
    ) -> None:
        check_room(out, overwrite=asked["overwrite"], resume=asked["resume"])
        splits = load_splits(shards, config.data)
        assert len(splits.train.images)
        assert len(splits.val.images)
        raise Trained

    monkeypatch.setattr(module, "train", opened)


SETS: list[tuple[dict[str, str], list[str]]] = [
    ({}, []),
    ({"train": "0 1 2", "val": "3 4"}, []),
    ({"train": "0 1 2", "val": "3", "trainval": "0 1 2 3", "test": "4 5"}, []),
    ({"trainval": "0 1 2", "test": "3 4"}, []),
    ({"train": "0 1 2", "test": "3 4"}, []),
    ({"train": "0 1 2 3"}, []),
    ({"trainval": "0 1 2 3"}, []),
    ({"val": "0 1", "test": "2 3"}, []),
    ({"test": "0 1 2"}, []),
    ({}, ["--train-fraction", "1"]),
    ({}, ["--train-fraction=0", "--split", "ratio", "--seed", "3", "--merge-case"]),
    ({"train": "0 1 2 3"}, ["--rename", "yak", "the yak's", "--no-verify"]),
]


@pytest.mark.parametrize(("lists", "options"), SETS)
@pytest.mark.usefixtures("training")
def test_what_pack_says_is_next_runs(
    lists: dict[str, str], options: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever splits a set has, the commands that pack prints lead to a training."""
    source = voc(tmp_path / "it's a set", *["yak", "emu"] * 3)
    for name, ids in lists.items():
        (source / "ImageSets" / "Main").mkdir(parents=True, exist_ok=True)
        text = "".join(f"{one}\n" for one in ids.split())
        (source / "ImageSets" / "Main" / f"{name}.txt").write_text(text)
    monkeypatch.chdir(tmp_path)
    result = run("pack", source.name, "-o", 'my "shards"', *options)
    if "\nnext: " not in result.stdout:
        again = shown(result, "to split it by a ratio: ")
        assert "--overwrite" in again
        assert all(word in again for word in options if word in ("--merge-case", "the yak's"))
        result = run(*again)
    words = shown(result, "next: ")
    with pytest.raises(Trained):
        run(*words)


def test_a_single_image_has_no_next_command(tmp_path: Path) -> None:
    """With one image there is nothing to train and validate on: no command, and the reason."""
    result = run("pack", voc(tmp_path / "v", "yak"), "-o", tmp_path / "out")
    assert "next: " not in result.stdout
    assert "with a single image" in result.stdout


def test_the_run_is_one_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The run is named after the shards, lies beside them, and takes no other run's place."""
    source = voc(tmp_path / "v", *["yak", "emu"] * 2)
    monkeypatch.chdir(tmp_path)
    assert shown(run("pack", source, "-o", "shards"), "next: ") == ["train", "shards", "-o", "run"]
    (tmp_path / "run").mkdir()
    assert shown(run("pack", source, "-o", "shards"), "next: ")[-1] == "run-2"
    assert shown(run("pack", source, "-o", "sets/cats"), "next: ")[-1] == "sets/cats-run"
    assert shown(run("pack", source, "-o", "./-x"), "next: ")[1] == "./-x"
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    assert shown(run("pack", source, "-o", "."), "next: ")[-1] == str(tmp_path / "here-run")


@pytest.mark.usefixtures("tiny_backbones", "light_training")
def test_what_train_says_is_next_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command that train prints gives every image a row."""
    monkeypatch.chdir(tmp_path)
    packed = run("pack", voc(tmp_path / "v", *["yak", "emu"] * 2), "-o", "the shards")
    small = ["--backbone", "tiny", "--weights", "none", "--size", 64, "--epochs", 1]
    trained = run(*shown(packed, "next: "), *small)
    scored = run(*shown(trained, "next: "))
    assert "images: 4" in scored.stdout
    assert len((tmp_path / "predictions.csv").read_text().splitlines()) == 5


@pytest.mark.slow
def test_from_pack_to_scores_as_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """pack, then what it prints, then what that prints: each runs, and every image has a row.

    The weights that train fetches by default are in torch's cache, drawn at random. It takes its
    ten seconds because nothing else is replaced: what is printed is run with all its defaults.
    """
    weights = tmp_path / "torch" / "hub" / "checkpoints"
    weights.mkdir(parents=True)
    address = torchvision.models.ResNet18_Weights.DEFAULT.url
    torch.save(torchvision.models.resnet18().state_dict(), weights / Path(address).name)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.chdir(tmp_path)
    packed = run("pack", voc(tmp_path / "v", *["yak", "emu"] * 2), "-o", "the shards")
    trained = run(*shown(packed, "next: "))
    scored = run(*shown(trained, "next: "))
    assert "images: 4" in scored.stdout
    assert len((tmp_path / "predictions.csv").read_text().splitlines()) == 5


@pytest.mark.parametrize(
    ("file", "on_path", "expected"),
    [
        ("bin/vocscore", "bin", ["vocscore"]),
        ("bin/vocscore", "elsewhere", ["{bin}/vocscore"]),
        ("bin/absent", "bin", ["absent"]),
    ],
)
def test_the_program_as_it_was_started(
    file: str, on_path: str, expected: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name where the shell would find this very program, else the whole path."""
    for folder in ("bin", "elsewhere"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "vocscore").touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path / on_path))
    monkeypatch.setattr("sys.argv", [str(tmp_path / file)])
    assert program() == [word.format(bin=tmp_path / "bin") for word in expected]


def test_the_module_as_it_was_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Python -m vocscore is shown with a python that has the package."""
    (tmp_path / "vocscore").mkdir()
    (tmp_path / "vocscore" / "__main__.py").touch()
    monkeypatch.setattr("sys.argv", [str(tmp_path / "vocscore" / "__main__.py")])
    monkeypatch.setenv("PATH", str(tmp_path))
    assert program() == [str(Path(sys.executable).absolute()), "-m", "vocscore"]
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent))
    assert program() == ["python", "-m", "vocscore"]


def test_typed_again() -> None:
    """A command is shown as it was typed, with what is to change; defaults are left out."""
    words = ["src it", "-o", "out", "--rename", "a", "b c", "--rename", "d", "e", "--no-verify"]
    command = main.get_command(click.Context(main), "pack")
    assert command is not None
    context = command.make_context("pack", ["--seed=4", *words], resilient_parsing=True)
    said = shlex.split(typed_again(context, split="ratio", overwrite=True))
    again = command.make_context("pack", said[2:], resilient_parsing=True)
    assert said[:2] == ["vocscore", "pack"]
    assert again.params == {**context.params, "split": "ratio", "overwrite": True}
    assert "--shard-samples" not in said


def test_free_path(tmp_path: Path) -> None:
    """The first name that is free."""
    file = tmp_path / "a.csv"
    assert free_path(file) == file
    file.touch()
    (tmp_path / "a-2.csv").touch()
    assert free_path(file) == tmp_path / "a-3.csv"
