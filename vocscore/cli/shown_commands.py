"""Commands shown to the user, which can be pasted into the shell of this process."""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from click.core import Argument, Option, ParameterSource

from vocscore.local_folders import named_by

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    import click


def program() -> list[str]:
    """Return the words that start this program, as typed if the process can tell.

    A name if the shell finds this program by it, else the whole path.
    """
    file = Path(sys.argv[0])
    if file.name == "__main__.py":
        return [_found("python", Path(sys.executable)), "-m", file.parent.name]
    return [_found(file.name, file)]


def _found(name: str, file: Path) -> str:
    """Return the name alone, unless the shell would run another file by it."""
    if not Path(sys.argv[0]).exists():
        return name
    found = Path(shutil.which(name) or "/nowhere")
    # Links are not followed: a virtual environment's python is a link to another one's.
    here = found.parent.absolute() == file.parent.absolute() and found.samefile(file)
    return name if here else str(file.absolute())


def vocscore_command(*words: object) -> str:
    """Return a command of this program, quoted for the shell."""
    start = program()
    known = start[-1] == "vocscore" or Path(start[0]).name == "vocscore"
    return shlex.join([*(start if known else ["vocscore"]), *map(_word, words)])


def _word(value: object) -> str:
    """Return a value as a word of a command."""
    return path_word(value) if isinstance(value, Path) else str(value)


def path_word(path: Path) -> str:
    """Return a path as a word of a command, protected from being parsed as an option."""
    text = named_by(path)
    return f"./{text}" if text.startswith("-") else text


def typed_again(ctx: click.Context, **changes: Any) -> str:
    """Return the running command with other values for some of its parameters.

    Args:
        ctx: context of the command.
        changes: name of a parameter -> its value; the others are as typed.
    """
    return typed_as(ctx, ctx.command, name=ctx.info_name, **changes)


def typed_as(
    ctx: click.Context,
    command: click.Command,
    *,
    name: str | None = None,
    without: Collection[str] = (),
    **changes: Any,
) -> str:
    """Return another command with what was typed for parameters of the same names.

    Args:
        ctx: context of the running command.
        command: the other command.
        name: its name, if that is not its own.
        without: parameters that are not taken over.
        changes: name of a parameter -> its value; the others are as typed.
    """
    options: list[str] = []
    arguments: list[str] = []
    for parameter in command.params:
        own = str(parameter.name)
        source = None if own in without else ctx.get_parameter_source(own)
        typed = source is ParameterSource.COMMANDLINE
        if own not in changes and not typed:
            continue
        value = changes.get(own, ctx.params.get(own))
        if isinstance(parameter, Argument):
            arguments.append(_word(value))
        elif isinstance(parameter, Option):
            options += _option(parameter, value)
    return vocscore_command(str(name or command.name), *arguments, *options)


def _option(option: Option, value: Any) -> Iterator[str]:
    if option.is_flag:
        yield option.opts[0] if value else option.secondary_opts[0]
        return
    if isinstance(value, tuple) and not option.multiple and option.nargs == 1:
        value = ",".join(map(str, value))  # a callback split it
    for one in value if option.multiple else [value]:
        yield option.opts[0]
        yield from map(_word, one if option.nargs > 1 else [one])


def free_path(path: Path) -> Path:
    """Return the path, or the first of PATH-2, PATH-3 ... that does not exist."""
    free, number = path, 1
    while free.exists():
        number += 1
        free = path.with_name(f"{path.stem}-{number}{path.suffix}")
    return free
