"""`vocscore`: the group that holds the commands."""

from __future__ import annotations

import importlib
from typing import Any

import click

from vocscore import leaving
from vocscore.cli.common import OneLineErrors, tell_lost_output
from vocscore.cli.help import MAX_WIDTH, PanelContext, nearest, write_link
from vocscore.cli.streams import settled_streams
from vocscore.cli.utf8 import in_utf8_mode
from vocscore.machine import settle_threads

# Command name -> (module under vocscore.cli, function). Modules are imported when needed:
# `vocscore --help` imports them for the first line of their help, but not the heavy libraries.
COMMANDS = {
    "pack": ("pack", "pack"),
    "verify": ("verify", "verify"),
    "train": ("train", "train"),
    "plan": ("plan", "plan"),
    "score": ("score", "score"),
    "merge": ("merge", "merge"),
    "eval": ("evaluate", "evaluate"),
    "compare": ("compare", "compare"),
    "relabel": ("relabel", "relabel"),
    "view": ("view", "view"),
    "report": ("report", "report"),
    "info": ("info", "info"),
    "quantize": ("quantize", "quantize"),
    "export": ("export", "export"),
    "import-model": ("import_model", "import_model"),
    "demo": ("demo", "demo"),
}

# Commands whose printed text is the result; the others write files and print a summary of them.
PRINTERS = frozenset({"plan", "eval", "compare", "info"})

PART_OF_ANOTHER = object()
"""`obj` of the context of a command that is run by another command."""


SETTINGS: dict[str, Any] = {"help_option_names": ["-h", "--help"], "max_content_width": MAX_WIDTH}


class Commands(OneLineErrors):
    """Finds commands by name, and lists them in the order of use instead of alphabetically."""

    context_class = PanelContext

    def main(self, *args: Any, **extra: Any) -> Any:
        """Run a command, with standard streams whose errors do not end it.

        As the main program of a process: in UTF-8 mode, and with an exit that threads or processes
        left behind by libraries cannot delay.
        """
        if args or {"args", "standalone_mode"} & extra.keys():  # called by another program
            with settled_streams():
                return super().main(*args, **extra)
        in_utf8_mode()
        since, code = leaving.now(), 1
        try:
            with settled_streams():
                return super().main(**extra)
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(bool(end.code))
            raise
        finally:
            leaving.leave_in_time(code, since=since)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command, and report if its output was lost."""
        # a command that runs others reports for all of them
        outermost = ctx.obj is not PART_OF_ANOTHER
        try:
            given = super().invoke(ctx)
        except click.exceptions.Exit:
            if outermost:
                tell_lost_output(is_the_result=False)
            raise
        if outermost:
            tell_lost_output(is_the_result=ctx.invoked_subcommand in PRINTERS)
        return given

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, or suggest the most similar one."""
        word = args[0]
        if word not in COMMANDS and not word.startswith("-") and not ctx.resilient_parsing:
            ctx.fail(f"No such command {word!r}.{nearest(word, list(COMMANDS))}")
        return super().resolve_command(ctx, args)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the link to the documentation."""
        del ctx
        write_link(formatter)

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """List the commands in the order of `COMMANDS`."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:  # noqa: ARG002
        """Import the module of one command."""
        if name not in COMMANDS:
            return None
        module, function = COMMANDS[name]
        command: click.Command = getattr(
            importlib.import_module(f"vocscore.cli.{module}"), function
        )
        # set here as well: click caches the help option when a command is first asked for it
        command.context_settings = {**SETTINGS, **command.context_settings}
        return command


@click.group(cls=Commands, context_settings=SETTINGS)
@click.version_option(
    None, "-V", "--version", package_name="vocscore", message="vocscore %(version)s"
)
def main() -> None:
    """Turn folders of images into multi-label predictions.

    \b
    The three main commands:
      vocscore pack  VOCdevkit/VOC2012 -o shards/        # images and labels -> shards
      vocscore train shards/ -o run/                     # shards -> a model
      vocscore score photos/ -m run/ -o predictions.csv  # images -> one row each

    Then 'vocscore eval predictions.csv shards/' measures how good they are.
    'vocscore demo -o demo' runs all steps on images that it draws itself.
    """
    settle_threads()
