"""Spells options as they are typed, in text that names them as Python does.

Below the command line, text names options as keywords of the API's functions, between backquotes:
`top_k`, `overwrite=True`, `rename=[('OLD', 'NEW')]`. Everything that a command prints passes here.
"""

from __future__ import annotations

import ast
import re
import shlex
from typing import TYPE_CHECKING, Any

import click

from vocscore.cli.options import flag

if TYPE_CHECKING:
    from collections.abc import Iterator

_QUOTED = re.compile(r"`([a-z][a-z0-9_]*(?:=[^`\n]+)?)`")
_ARGUMENTS = {"source": "src", "output": "out"}
"""Name of a value in functions -> its name in commands, where it is an argument."""


def echo(text: object, *, err: bool = False) -> None:
    """Print text, with its options as they are typed.

    Args:
        text: to be printed; data that programs read is printed by `click.echo` instead.
        err: print on standard error.
    """
    click.echo(as_typed(str(text)), err=err)


def as_typed(text: str) -> str:
    """Respell keywords between backquotes as options: `overwrite=True` as --overwrite.

    What is no option of any command is unchanged. The names of the running command come first:
    `output` is -o of 'score', but the argument OUT of 'merge'.
    """
    return _QUOTED.sub(_respelled, text)


def _respelled(found: re.Match[str]) -> str:
    try:
        call = ast.parse(f"_({found[1]})", mode="eval").body
    except (SyntaxError, ValueError):
        return found[0]
    assert isinstance(call, ast.Call)
    words: list[str] = []
    given = [(ast.unparse(name), None) for name in call.args]
    for name, value in [*given, *((str(one.arg), one.value) for one in call.keywords)]:
        parameter = _parameter(name)
        if parameter is None:
            return found[0]
        words += _words(parameter, value)
    return " ".join(words)


def _words(parameter: click.Parameter, value: ast.expr | None) -> Iterator[str]:
    """Return an option and its values as they are typed."""
    name = _name(parameter)
    if value is None:
        yield name
        return
    try:
        given = ast.literal_eval(value)
    except ValueError:  # a placeholder, such as FILE
        given = ast.unparse(value)
    if isinstance(given, bool):
        yield name if given else parameter.secondary_opts[0]
        return
    for entry in given if isinstance(given, list) else [given]:
        values = entry if isinstance(entry, tuple) else (entry,)
        yield name
        yield from (shlex.quote(str(one)) for one in values)


def _name(parameter: click.Parameter) -> str:
    is_option = isinstance(parameter, click.Option)
    return parameter.opts[0] if is_option else parameter.human_readable_name


def _parameter(name: str) -> click.Parameter | None:
    """Find what a keyword is called: in the running command, else in another one."""
    known = {name, _ARGUMENTS.get(name)}
    for command in _commands():
        for parameter in command.params:
            if parameter.name in known or flag(name) in parameter.opts:
                return parameter
    return None


def _commands() -> Iterator[click.Command]:
    """The running command, then all of them."""
    context: Any = click.get_current_context(silent=True)
    while context is not None:
        group = context.command
        if not isinstance(group, click.Group):
            yield group
        elif context.invoked_subcommand:
            yield from filter(None, [group.get_command(context, context.invoked_subcommand)])
        if context.parent is None and isinstance(group, click.Group):
            for name in group.list_commands(context):
                yield from filter(None, [group.get_command(context, name)])
        context = context.parent
