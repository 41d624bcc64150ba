"""`vocscore`: the group that holds the commands."""

from __future__ import annotations

import importlib
from typing import Any

import click

from vocscore import leaving
from vocscore.cli.common import OneLineErrors, tell_lost_output
from vocscore.cli.streams import settled_streams
from vocscore.cli.utf8 import in_utf8_mode
from vocscore.machine import settle_threads

# Command name -> (module under vocscore.cli, function). Read when a command is asked for, so that
# `vocscore --help` imports a command's module for its one line of help and nothing beneath it.
COMMANDS = {
    "pack": ("pack", "pack"),
    "verify": ("pack", "verify"),
    "train": ("train", "train"),
    "score": ("score", "score"),
    "eval": ("evaluate", "evaluate"),
    "quantize": ("quantize", "quantize"),
    "export": ("export", "export"),
    "demo": ("demo", "demo"),
}

# What they print is all that they give; the others leave files, and print a summary of them.
PRINTERS = frozenset({"eval"})

PART_OF_ANOTHER = object()
"""`obj` of the context of a command that another command runs."""


HELP = ["-h", "--help"]


class Commands(OneLineErrors):
    """Finds commands by name, in the order of the job and not of the alphabet."""

    def main(self, *args: Any, **extra: Any) -> Any:
        """Run a command, on streams that end no command.

        As the command line of the process itself: in UTF-8 mode, and ended in time whatever a
        library has left behind.
        """
        if args or {"args", "standalone_mode"} & extra.keys():  # one of several, of a program
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
        """Run the command, and tell where its words were lost."""
        # one that runs others tells for all of them
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

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """In the order of `COMMANDS`."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:  # noqa: ARG002
        """Import the module of one command."""
        if name not in COMMANDS:
            return None
        module, function = COMMANDS[name]
        command: click.Command = getattr(
            importlib.import_module(f"vocscore.cli.{module}"), function
        )
        # its own as well: click keeps the first help option that anybody asks a command for
        command.context_settings.setdefault("help_option_names", HELP)
        return command


@click.group(cls=Commands, context_settings={"help_option_names": HELP})
@click.version_option(package_name="vocscore", message="vocscore %(version)s")
def main() -> None:
    """Turn folders of images into multi-label predictions.

    \b
    Three commands do the job:
      vocscore pack  VOCdevkit/VOC2012 -o shards/        # images and labels -> shards
      vocscore train shards/ -o run/                     # shards -> a model
      vocscore score photos/ -m run/ -o predictions.csv  # images -> one row each

    'vocscore eval predictions.csv shards/' then says how good they are, and
    'vocscore demo -o demo' does all of it on images that it draws itself.
    """
    settle_threads()
