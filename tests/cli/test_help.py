"""`--help`: panels, width, suggestions, completion."""

from __future__ import annotations

import configparser
import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import click
import pytest
from click.shell_completion import BashComplete
from click.testing import CliRunner

from vocscore.cli import help as pages
from vocscore.cli.main import COMMANDS, main
from vocscore.cli.options import OTHERS, flag
from vocscore.config.charts import ChartConfig
from vocscore.config.compute import ComputeConfig
from vocscore.config.groups import declared, groups_of
from vocscore.config.packing import PackConfig
from vocscore.config.scoring import ScoreConfig
from vocscore.config.training import RunConfig, TrainConfig

EXAMPLES = ("vocscore ", "find ", "Documentation: ")
"""Lines that are copied, so they are never broken."""
QUIETLY: dict[str, Any] = {"resilient_parsing": True}


def command(name: str) -> click.Command:
    found = main.get_command(click.Context(main), name)
    assert found is not None
    return found


def told(*words: str, **more: Any) -> str:
    return CliRunner().invoke(main, list(words), **more).output


def titles(text: str) -> list[str]:
    return re.findall(r"^(\S[^:\n]*):$", text, flags=re.MULTILINE)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_has_help_and_a_panel(name: str) -> None:
    """Nothing is left without a sentence, and nothing but --help without a title."""
    for option in command(name).params:
        if isinstance(option, click.Option):
            assert option.help, option.name
            assert getattr(option, "panel", OTHERS) != OTHERS, option.name


@pytest.mark.parametrize("columns", [60, 80, 120, 200])
@pytest.mark.parametrize("name", [None, *COMMANDS])
def test_help_fits_the_terminal(
    name: str | None, columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As wide as the terminal, but not over 120 columns; only examples are not broken."""
    monkeypatch.setenv("COLUMNS", str(columns))
    shown = main if name is None else command(name)
    page = click.unstyle(shown.make_context("vocscore", ["--help"], **QUIETLY).get_help())
    lines = [line for line in page.splitlines() if not line.strip().startswith(EXAMPLES)]
    widest = max(map(len, lines))
    assert widest <= min(columns, pages.MAX_WIDTH)
    if name == "train":
        assert widest >= min(columns, pages.MAX_WIDTH) - 5


def test_panels_are_the_groups() -> None:
    """In the order of the work; groups with the same title share a panel."""
    assert titles(told("train", "--help")) == [
        "Output", "Recipe", "Model", "Data", "Optimization", "Augmentation", "Loss", "Checkpoint",
        "Charts", "Compute", "Other",
    ]  # fmt: skip
    assert titles(told("score", "--help")) == [
        "Model", "Output", "Update", "Inputs", "Bad inputs", "Decoding", "Compute", "Jobs",
        "Cluster", "Other",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("train", (TrainConfig, ComputeConfig, RunConfig, ChartConfig)),
        ("score", (ScoreConfig,)),
        ("pack", (PackConfig,)),
    ],
)
def test_options_are_the_fields(name: str, kinds: tuple[type[Any], ...]) -> None:
    """Each field of a command's groups is an option with its default, and help names its flags."""
    options = {option.name: option for option in command(name).params}
    for one in declared(*kinds):
        option = options[one.name]
        assert isinstance(option, click.Option)
        assert option.default == (None if one.name == "devices" else one.default)
        assert one.flag or flag(one.name) in option.opts
        assert "{" not in str(option.help)
    assert groups_of(TrainConfig).keys() == {field.name for field in fields(TrainConfig)}


def test_help_leads_to_the_documentation() -> None:
    """The link stands at the end, and is the one in the package's metadata."""
    setup = configparser.ConfigParser()
    setup.read(Path(__file__).parents[2] / "setup.cfg")
    assert f"Documentation = {pages.DOCUMENTATION}" in setup["metadata"]["project_urls"]
    for words in (["--help"], ["score", "--help"]):
        assert told(*words).endswith(f"\nDocumentation: {pages.DOCUMENTATION}\n")


@pytest.mark.parametrize(
    ("words", "suggestion"),
    [
        (["scor"], "No such command 'scor'. Did you mean 'score'?"),
        (["evaluate"], "Did you mean 'eval'?"),
        (["export", "run", "-o", "x.onnx", "--overwrit"], "Did you mean '--overwrite'"),
        (["train", "shards", "-o", "run", "--optimiser", "sgd"], "--optimizer"),
    ],
)
def test_what_is_nearly_right_is_suggested(words: list[str], suggestion: str) -> None:
    """A word that is nearly a command or an option is answered with it, and exit code 2."""
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 2
    assert suggestion in result.output


def test_a_word_like_no_command_is_only_refused() -> None:
    """Nothing is suggested where nothing is near."""
    assert told("xyz").endswith("Error: No such command 'xyz'.\n")


@pytest.mark.parametrize("word", ["-V", "--version"])
def test_version(word: str) -> None:
    """Both words print name and version."""
    assert re.fullmatch(r"vocscore \d+\.\d+\.\d+\S*\n", told(word))


@pytest.mark.parametrize(
    ("typed", "begun", "found"),
    [
        ([], "", list(COMMANDS)),
        ([], "s", ["score"]),
        (["train", "shards"], "--opt", ["--optimizer"]),
        (["train", "shards", "--optimizer"], "", ["sgd", "adamw"]),
        (["train", "shards", "--recipe"], "s", ["strong", "s"]),
        (["score", "photos", "--format"], "p", ["parquet"]),
        (["score"], "ph", ["ph"]),
    ],
)
def test_shells_complete(typed: list[str], begun: str, found: list[str]) -> None:
    """Commands, options, their values, recipes; a path is left to the shell."""
    shell = BashComplete(main, {}, "vocscore", "_VOCSCORE_COMPLETE")
    items = shell.get_completions(typed, begun)
    assert [item.value for item in items] == found
    if items[-1].value == begun:
        assert items[-1].type == "file"


def test_headings_are_bold_on_a_terminal_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Escapes reach a terminal, and neither a file nor one who has set NO_COLOR."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b" not in told("train", "--help")
    assert "\x1b[1mModel\x1b[0m:" in told("train", "--help", color=True)
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in told("train", "--help", color=True)
