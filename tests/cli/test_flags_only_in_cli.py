"""Below the command line, text names options as Python does; only vocscore/cli spells flags."""

from __future__ import annotations

import ast
import re
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vocscore.cli.main import COMMANDS, main
from vocscore.cli.options import flag
from vocscore.cli.typed_options import as_typed

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
FLAG = re.compile(r"(?<![\w-])(--[a-z][a-z-]*|-[om]\b)")
COMMAND = re.compile(r"vocscore [a-z-]+ (?:(?!\. |').)*")
"""A command to paste into a shell, which is the same for users of Python."""
KEYWORD = re.compile(r"`([a-z][a-z0-9_]*)(=[^`,\n]+)?`")
EXCEPTIONS = {
    "shards/tar/walk.py": {"--sparse"},  # tar's
    "vocscore/api/jobs.py": {"-m"},  # a command of torchrun
    "vocscore/charts/canvas.py": {"--upgrade", "--force-reinstall"},  # pip's
    "vocscore/config/training.py": {"--logdir"},  # tensorboard's
    "vocscore/runtime/openvino.py": {"--upgrade", "--force-reinstall"},  # pip's
    "vocscore/scoring/inputs/urls.py": {"--recursive"},  # of the clouds' programs
    "vocscore/scoring/jobs/missing.py": {"--array"},  # sbatch's
    # words of commands of this program
    "vocscore/scoring/jobs/share.py": {"--units"},
    "vocscore/training/features.py": {"--decode"},
    "vocscore/view/thresholds.py": {"--thresholds-file", "-m", "-o"},
}
"""Module -> the flags in its text, which are not of this program or in its commands."""


def test_flags_are_spelled_by_the_command_line() -> None:
    """No other module has a flag in its text, apart from commands and the exceptions."""
    found: dict[str, set[str]] = {}
    for module, text in _texts():
        for name in FLAG.findall(COMMAND.sub("", text)):
            found.setdefault(module, set()).add(name)
    assert found == EXCEPTIONS


def test_keywords_in_text_are_options() -> None:
    """Each name between backquotes is one that the command line can spell."""
    known = _names()
    assert {"overwrite", "rename", "from_", "source"} <= known
    assert not [
        (module, found[0])
        for module, text in _texts()
        for found in KEYWORD.finditer(text)
        if found[1] not in known
    ]


def test_values_in_text_are_those_of_options() -> None:
    """A value that is written in a message is one that its option takes."""
    checked = 0
    with click.Context(main):
        for module, text in _texts():
            for found in KEYWORD.finditer(text):
                choices = _choices(found[1])
                if found[2] and choices and "?" not in found[2]:
                    assert ast.literal_eval(found[2][1:]) in choices, (module, found[0])
                    assert as_typed(found[0]) != found[0], (module, found[0])
                    checked += 1
    assert checked > 10


@lru_cache(maxsize=1)
def _texts() -> tuple[tuple[str, str], ...]:
    """Module and text of every string that is no docstring; '?' for what is formatted into it."""
    return tuple(
        (str(file.relative_to(ROOT)), text)
        for package in ("vocscore", "shards")
        for file in sorted((ROOT / package).rglob("*.py"))
        if "vocscore/cli/" not in str(file)
        for text in _texts_of(ast.parse(file.read_text("utf-8")))
    )


def _texts_of(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return  # a docstring
    if isinstance(node, ast.keyword) and node.arg == "flag":
        return  # the declaration of an option that is not typed as its name
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.JoinedStr):
        parts = [one.value if isinstance(one, ast.Constant) else "?" for one in node.values]
        yield "".join(map(str, parts))
        for one in node.values:
            if isinstance(one, ast.FormattedValue):
                yield from _texts_of(one.value)
    else:
        for child in ast.iter_child_nodes(node):
            yield from _texts_of(child)


def _parameters() -> Iterator[click.Parameter]:
    group = click.Context(main)
    for name in COMMANDS:
        command = main.get_command(group, name)
        assert command is not None
        yield from command.params


def _names() -> set[str]:
    parameters = list(_parameters())
    flags = {one for parameter in parameters for one in parameter.opts}
    names = {str(parameter.name) for parameter in parameters}
    return {
        *(name for name in names if flag(name) in flags),
        *(one.removeprefix("--").replace("-", "_") for one in flags if one.startswith("--")),
        "source",
    }


@lru_cache(maxsize=256)
def _choices(name: str) -> frozenset[str]:
    """The values of an option that takes no others, in any command."""
    types = [parameter.type for parameter in _parameters() if parameter.name == name]
    if not all(isinstance(one, click.Choice) for one in types):
        return frozenset()
    return frozenset(choice for one in types for choice in one.choices)
