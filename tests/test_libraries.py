"""A library that is missing or broken: one line with the cure, or the way on without it."""

from __future__ import annotations

import sys
from importlib import import_module
from types import SimpleNamespace
from typing import TYPE_CHECKING

import click
import pytest
from click.testing import CliRunner, Result

from vocscore.cli.common import OneLineErrors
from vocscore.cli.libraries import PACKAGES
from vocscore.cli.main import main
from vocscore.errors import DeviceError
from vocscore.models.card import ModelCard
from vocscore.models.checkpoint import save_checkpoint
from vocscore.models.network import build_network
from vocscore.pipeline.preprocess import Preprocess
from vocscore.runtime import load, openvino
from vocscore.runtime.openvino import core
from vocscore.training import fitting as training

if TYPE_CHECKING:
    from pathlib import Path

BROKEN = [
    'raise ImportError("libtbb.so.12: cannot open shared object file")',
    'raise RuntimeError("operator torchvision::nms does not exist")',
    'raise OSError("libcudart.so.13: cannot open shared object file")',
    'raise AttributeError("module has no attribute")',
]


def told(stderr: str) -> list[str]:
    """What a command says on standard error, without the stages that a slow machine shows."""
    return [line for line in stderr.splitlines() if not line.startswith(("score: ", "train: "))]


def imported(module: str) -> Result:
    """What a command comes to that imports a module."""

    @click.group(cls=OneLineErrors)
    def group() -> None:
        """Hold the command."""

    @group.command()
    def command() -> None:
        import_module(module)

    return CliRunner().invoke(group, ["command"])


@pytest.mark.parametrize("body", BROKEN)
def test_a_broken_library_is_one_line(
    body: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever its import raises: exit code 2, its name, its own reason, how to install it."""
    (tmp_path / "inner_library").mkdir()
    (tmp_path / "inner_library" / "__init__.py").write_text(body)
    (tmp_path / "user_of_it.py").write_text("import inner_library")
    monkeypatch.syspath_prepend(tmp_path)
    done = imported("user_of_it" if body == BROKEN[0] else "inner_library")
    assert done.exit_code == 2
    (line,) = told(done.stderr)
    assert body.split('"')[1] in line
    assert "pip install --upgrade --force-reinstall " in line
    assert "cannot be loaded" in line


def test_a_missing_library_is_one_line() -> None:
    """Its name and how to install it."""
    done = imported("library_that_is_missing.part")
    assert done.exit_code == 2
    (line,) = told(done.stderr)
    assert line == (
        "Error: library_that_is_missing cannot be loaded (No module named "
        "'library_that_is_missing'). Install it: pip install library_that_is_missing"
    )


@pytest.mark.parametrize(("name", "package"), PACKAGES.items())
def test_the_package_is_named_and_not_the_import(
    name: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`pip install PIL` would install nothing of use."""
    monkeypatch.setitem(sys.modules, name, None)
    done = imported(name)
    assert done.stderr.strip().endswith(f"pip install {package}")


def test_a_fault_of_our_own_keeps_its_traceback() -> None:
    """A module of this package that is not there is no matter of installing."""
    done = imported("vocscore.no_such_module")
    assert isinstance(done.exception, ModuleNotFoundError)


def test_an_error_after_the_import_keeps_its_traceback() -> None:
    """What a library raises at work is no matter of installing."""

    @click.group(cls=OneLineErrors)
    def group() -> None:
        """Hold the command."""

    @group.command()
    def command() -> None:
        import_module("json").loads("{")

    assert isinstance(CliRunner().invoke(group, ["command"]).exception, ValueError)


@pytest.fixture
def without_openvino(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that has not loaded OpenVINO and cannot."""
    monkeypatch.setitem(sys.modules, "openvino", None)
    # not the one that this process may have kept
    for module in (openvino, load, training):
        monkeypatch.setattr(module, "core", core.__wrapped__)


@pytest.mark.usefixtures("without_openvino")
def test_training_without_openvino_is_one_line_and_no_folder(
    voc_tree: Path, tmp_path: Path
) -> None:
    """Said before the run's folder is made: the same command works once it is installed."""
    shards, run = tmp_path / "shards", tmp_path / "run"
    invoke("pack", voc_tree, "-o", shards, "--quiet")
    small = ("--backbone", "squeezenet1_1", "--weights", "none", "--size", 32, "--device", "cpu")
    done = CliRunner().invoke(main, ["train", str(shards), "-o", str(run), *map(str, small)])
    assert done.exit_code == 2
    assert "OpenVINO" in done.stderr
    assert "pip install" in done.stderr
    assert len(told(done.stderr)) == 1
    assert not run.exists()


@pytest.mark.usefixtures("without_openvino")
@pytest.mark.parametrize("precision", ["auto", "float32"])
def test_scoring_without_openvino_is_one_line(
    precision: str, voc_tree: Path, tmp_path: Path
) -> None:
    """Exit code 2, and nothing is left where the predictions would be."""
    run, out = tmp_path / "run", tmp_path / "out.csv"
    network = build_network("squeezenet1_1", classes=2, weights="none", size=32)
    card = ModelCard("squeezenet1_1", ("cat", "dog"), Preprocess(size=32), 0.5, "none")
    save_checkpoint(run, network, card)
    words = ["score", voc_tree, "-m", run, "-o", out, "--device", "cpu", "--precision", precision]
    done = CliRunner().invoke(main, [str(word) for word in words])
    assert done.exit_code == 2
    (line,) = told(done.stderr)
    assert "OpenVINO" in line
    assert "pip install" in line
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_openvino_without_its_plugin_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """Installed, but with a part missing: its own reason, and how to install it."""

    class Core:
        def get_property(self, *_names: str) -> None:
            raise RuntimeError("Exception from core.cpp:120:\nCannot load libcpu_plugin.so.\n")

    monkeypatch.setitem(sys.modules, "openvino", SimpleNamespace(Core=Core))
    expected = r"OpenVINO.*\(Cannot load libcpu_plugin\.so\)\. Install it: pip install .* openvino"
    with pytest.raises(DeviceError, match=expected):
        core.__wrapped__()


def test_training_without_matplotlib_has_no_charts_and_says_so(
    voc_tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Everything else is there, quiet or not; a later `eval --plots` refuses before it begins."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "matplotlib"]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    shards, run, out = tmp_path / "shards", tmp_path / "run", tmp_path / "out.csv"
    invoke("pack", voc_tree, "-o", shards, "--quiet")
    small = ("--backbone", "squeezenet1_1", "--weights", "none", "--size", 32, "--epochs", 1)
    done = invoke("train", shards, "-o", run, *small, "--device", "cpu", "--quiet")
    (line,) = told(done.stderr)
    assert line.startswith("warning: the run has no charts: matplotlib")
    assert "pip install" in line
    names = {path.name for path in run.iterdir()}
    assert {"model.safetensors", "model.json", "metrics.json", "history.csv"} <= names
    assert not any(name.endswith((".png", ".pt")) for name in names)
    invoke("score", shards, "-m", run, "-o", out, "--device", "cpu", "--quiet")
    words = ["eval", out, shards, "--plots", tmp_path / "plots", "--json", tmp_path / "eval.json"]
    done = CliRunner().invoke(main, [str(word) for word in words])
    assert done.exit_code == 2
    assert "matplotlib" in done.stderr
    assert not (tmp_path / "plots").exists()
    assert not (tmp_path / "eval.json").exists()


def invoke(*words: object) -> Result:
    done = CliRunner().invoke(main, [str(word) for word in words])
    assert done.exit_code == 0, done.output
    return done
