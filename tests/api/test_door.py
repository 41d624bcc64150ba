"""`import vocscore`: light, whole, and in step with the command line."""

from __future__ import annotations

import importlib
import inspect
import os
import subprocess
import sys
from pathlib import Path

import pytest

import vocscore as vs
from vocscore.api import keyword_stubs, keywords
from vocscore.api.settings import settings
from vocscore.cli.main import COMMANDS
from vocscore.config.option import Group
from vocscore.config.training import RunConfig, TrainConfig

HEAVY = (
    "torch",
    "numpy",
    "click",
    "PIL",
    "matplotlib",
    "openvino",
    "sklearn",
    "tqdm",
    "webdataset",
)
FUNCTIONS = {
    "pack": "pack",
    "verify": "verify",
    "train": "train",
    "plan": "plan",
    "score": "score",
    "merge": "merge",
    "eval": "evaluate",
    "quantize": "quantize",
    "export": "export",
    "import-model": "import_model",
    "demo": "demo",
}
ONLY_TYPED = {"quiet", "json_file", "plots", "recipe", "help"}
ONLY_TYPED |= {"mistakes", "suspects", "csv_file", "changes"}
"""Options of the command line for which Python has other means, or its own parameter."""
ARGUMENTS = {"src", "file", "out", "shards", "checkpoint", "predictions"}
"""What the functions take by position (or as `model`)."""


def test_importing_loads_nothing_heavy() -> None:
    """`import vocscore` loads no heavy library, and sets what they read when they are loaded."""
    code = (
        "import sys, os, vocscore; "
        f"print([name for name in {HEAVY} if name in sys.modules], "
        "os.environ['OMP_WAIT_POLICY'], os.environ['MKL_CBWR'])"
    )
    clean = {k: v for k, v in os.environ.items() if k not in ("OMP_WAIT_POLICY", "MKL_CBWR")}
    done = subprocess.run(
        [sys.executable, "-c", code], env=clean, capture_output=True, text=True, check=True
    )
    assert done.stdout == "[] PASSIVE AUTO,STRICT\n"


def test_every_name_is_there() -> None:
    """`dir` is `__all__`, sorted, and each name of it loads."""
    assert dir(vs) == sorted(vs.__all__)
    assert list(vs.__all__) == sorted(vs.__all__)
    assert all(getattr(vs, name) is not None for name in vs.__all__)


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    """As of any module, so that `hasattr` and `from vocscore import ...` behave."""
    with pytest.raises(AttributeError, match="no attribute 'scor'"):
        vs.scor  # noqa: B018


def test_subpackages_do_not_hide_functions() -> None:
    """Loading the module behind a function leaves the function under its name."""
    for module in ("vocscore.scoring.run", "vocscore.exporting.export", "vocscore.training.train"):
        importlib.import_module(module)
    assert all(inspect.isfunction(getattr(vs, name)) for name in FUNCTIONS.values())


def test_every_group_of_options_is_public() -> None:
    """A group that a function takes can be made by name."""
    rooms = keyword_stubs.KEYWORDS.values()
    from vocscore.config.groups import groups_of

    for kinds in rooms:
        for kind in kinds:
            for group in [kind] if issubclass(kind, Group) else groups_of(kind).values():
                assert getattr(vs, group.__name__) is group


@pytest.mark.parametrize("command", FUNCTIONS)
def test_functions_take_the_options_of_their_commands(command: str) -> None:
    """Same names, same defaults; nothing is on one side only."""
    module, name = COMMANDS[command]
    made = getattr(importlib.import_module(f"vocscore.cli.{module}"), name)
    others = ONLY_TYPED | ARGUMENTS | ({"chart_format"} if command == "eval" else set())  # --plots
    typed = {p.name: p for p in made.params if p.name not in others}
    parameters = inspect.signature(getattr(vs, FUNCTIONS[command])).parameters
    own = {"options", "progress", "on_epoch", "recipe"}
    keyword = {
        name: p for name, p in parameters.items() if p.kind is p.KEYWORD_ONLY and name not in own
    }
    if command in ("score", "plan"):
        del keyword["model"]  # SRC's checkpoint: -m
    shards = {"shards"} if command in ("quantize", "export") else set()  # there an option
    assert set(keyword) - shards == set(typed)
    for name, option in typed.items():
        if option.default not in (None, ()):  # else the command line means the same by absence
            assert keyword[name].default == option.default


def test_keywords_for_editors_are_those_of_the_groups() -> None:
    """`make docs` writes them; the file is what it would write."""
    assert Path(keywords.__file__).read_text(encoding="utf-8") == keyword_stubs.text()


def test_help_shows_every_option() -> None:
    """The docstring of a function has a line for each option, in its own words."""
    text = vs.train.__doc__ or ""
    lines = [line.strip() for line in text.splitlines()]
    start = "learning_rate: Learning rate of the head, and with `tune` all of the"
    assert any(line.startswith(start) for line in lines)
    assert "**keywords" not in text


def test_an_unknown_keyword_names_the_nearest(tmp_path: Path) -> None:
    """And nothing is read or written before."""
    with pytest.raises(vs.Error, match=r"no option is called 'epoch'. Did you mean 'epochs'"):
        vs.train(tmp_path / "none", tmp_path / "run", epoch=3)  # type: ignore[call-arg]
    assert not (tmp_path / "run").exists()


def test_a_value_out_of_range_is_named_as_python_does(tmp_path: Path) -> None:
    """The keyword, not the flag."""
    with pytest.raises(vs.Error, match=r"^`top_k` is 0, but must be at least 1\.$"):
        vs.score("photos", tmp_path / "p.csv", model="run", top_k=0)


def test_what_goes_before_what() -> None:
    """Keywords before groups, groups before the recipe, all before the defaults."""
    group = vs.OptimizationConfig(epochs=7, learning_rate=0.5)
    recipe = {"epochs": 3, "learning_rate": 0.1, "keep": "best"}
    found = settings({"epochs": 9}, group, TrainConfig, RunConfig, before=recipe)
    assert (found["epochs"], found["learning_rate"], found["keep"]) == (9, 0.5, "best")
    assert found["momentum"] == vs.OptimizationConfig().momentum  # a group is taken whole


def test_a_group_of_another_function_is_refused() -> None:
    """By its name."""
    with pytest.raises(vs.Error, match="OutputConfig has no options of this function"):
        settings({}, [vs.OutputConfig()], TrainConfig, RunConfig)


def test_every_known_error_has_one_base() -> None:
    """`except vs.Error` catches whatever the package raises on purpose."""
    import shards.errors
    import vocscore.errors

    kinds = {
        kind
        for module in (shards.errors, vocscore.errors)
        for kind in vars(module).values()
        if inspect.isclass(kind) and issubclass(kind, Exception)
    }
    assert len(kinds) > 10
    assert all(issubclass(kind, vs.Error) for kind in kinds)
