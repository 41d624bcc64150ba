"""The command line as a person meets it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from vocscore.cli.main import COMMANDS, main
from vocscore.cli.reference import cli_page

ANYTHING = click.Argument(["words"], nargs=-1, type=click.UNPROCESSED, expose_value=False)


def run(*words: object) -> tuple[int, str]:
    """Exit code and everything printed."""
    result = CliRunner().invoke(main, [str(word) for word in words])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.output


HELP = """
import sys
from vocscore.cli.main import COMMANDS, main

heavy = {'torch', 'torchvision', 'nvidia.dali', 'numpy', 'sklearn', 'matplotlib', 'PIL'}
for words in [], *([name] for name in COMMANDS):
    main([*words, '--help'], standalone_mode=False)
    print('heavy of', words, sorted(heavy & set(sys.modules)))
"""


def test_help_imports_nothing_heavy() -> None:
    """`--help` of every command comes without torch, DALI, NumPy, scikit-learn or matplotlib."""
    done = subprocess.run([sys.executable, "-c", HELP], capture_output=True, text=True, check=True)
    assert done.stdout.count("Usage: ") == 1 + len(COMMANDS)
    found = [line for line in done.stdout.splitlines() if line.startswith("heavy of ")]
    assert found == [f"heavy of {words} []" for words in ([], *([name] for name in COMMANDS))]


@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
def test_numbers_are_finite(value: str) -> None:
    """Every option that takes a number refuses what is none: exit code 2, and a line with it."""
    refused = 0
    for name in COMMANDS:
        command = main.get_command(None, name)  # type: ignore[arg-type]
        for option in command.params:
            if isinstance(option.type, click.types.FloatParamType):
                with pytest.raises(click.BadParameter):
                    option.type_cast_value(click.Context(command), value)
                refused += 1
    assert refused > 15


def test_the_page_of_the_command_line_is_the_program() -> None:
    """`docs/cli.md` equals what the program says; `make docs` writes it."""
    page = Path(__file__).parents[1] / "docs" / "cli.md"
    assert page.read_text() == cli_page()


def test_a_folder_without_images_is_one_line(tmp_path: Path) -> None:
    """An input that cannot be packed exits 2 with one line that names it."""
    code, output = run("pack", tmp_path, "-o", tmp_path / "out")
    assert code == 2
    assert output.startswith("Error: ")
    assert str(tmp_path) in output
    assert output.count("\n") == 1


def test_an_unwritable_output_is_one_line(voc_tree: Path, tmp_path: Path) -> None:
    """An output inside a file exits 2 with one line that names it."""
    (tmp_path / "file").write_text("")
    code, output = run("pack", voc_tree, "-o", tmp_path / "file" / "out")
    assert code == 2
    assert output.count("\n") == 1
    assert "file" in output


def test_a_demo_that_is_interrupted_goes_no_further(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C in one of its commands ends the demo: exit code 130, and no next command."""
    begun = []

    def interrupted(name: str) -> None:
        begun.append(name)
        raise click.exceptions.Exit(130)

    def get_command(self: click.Group, context: click.Context, name: str) -> click.Command | None:
        if name == "demo":
            return found(self, context, name)
        return click.Command(
            name,
            callback=lambda: interrupted(name),
            params=[ANYTHING],
            context_settings={"ignore_unknown_options": True},
        )

    found = type(main).get_command
    monkeypatch.setattr(type(main), "get_command", get_command)
    monkeypatch.setattr("shards.synthetic.voc.draw_voc", lambda *_, **__: None)
    code, _ = run("demo", "-o", tmp_path)
    assert (code, begun) == (130, ["pack"])


def test_an_unknown_command_is_refused() -> None:
    """A word that is no command exits 2."""
    code, output = run("sore")
    assert code == 2
    assert "sore" in output
