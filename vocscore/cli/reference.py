"""Writes `docs/cli.md` from the program, so that the page cannot differ from it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from vocscore.cli.help import PanelContext
from vocscore.cli.main import COMMANDS, main

WIDTH: dict[str, Any] = {"max_content_width": 88, "terminal_width": 88}

HEAD = """\
# The command line

Written by `make docs` from the program itself; a test compares the two.

Commands, options and their values are completed by the shell after

```bash
eval "$(_VOCSCORE_COMPLETE=bash_source vocscore)"                # in ~/.bashrc
eval "$(_VOCSCORE_COMPLETE=zsh_source vocscore)"                 # in ~/.zshrc
_VOCSCORE_COMPLETE=fish_source vocscore | source                 # in ~/.config/fish/config.fish
```
"""


def cli_page() -> str:
    """The help of the group and of every command, as one Markdown page."""
    sections = [HEAD]
    for name in (None, *COMMANDS):
        title = "vocscore" if name is None else f"vocscore {name}"
        sections.append(f"## `{title}`\n\n```text\n{_help(name)}\n```\n")
    return "\n".join(sections)


def _help(name: str | None) -> str:
    root = PanelContext(main, info_name="vocscore", **{**main.context_settings, **WIDTH})
    if name is None:
        return click.unstyle(main.get_help(root))
    command = main.get_command(root, name)
    if command is None:
        raise LookupError(name)
    context = PanelContext(command, root, info_name=name, **WIDTH)
    return click.unstyle(command.get_help(context))


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(cli_page())
