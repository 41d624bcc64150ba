"""What the commands share: errors in one line, interruptions, summaries, options met twice."""

from __future__ import annotations

import json
import os
import shlex
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import click

from shards.errors import Error
from vocscore.cli.libraries import cannot_be_loaded
from vocscore.cli.progress import Progress, progress
from vocscore.cli.shown_commands import program
from vocscore.cli.status_line import is_terminal
from vocscore.cli.streams import lost_output
from vocscore.errors import StoppedOnPurposeError
from vocscore.ranks import read_ranks

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Progress", "progress"]  # and what is defined here

Command = TypeVar("Command", bound=Callable[..., Any])

LAST_WORDS = 30.0
"""Seconds in which torchrun ends a process whose error is another one's, too."""


class KnownError(click.ClickException):
    """A known failure: one line on standard error, exit code 2."""

    exit_code = 2

    def __init__(self, message: object) -> None:
        """Keep it to one line: names of files may hold line breaks, and what moves a cursor."""
        text = str(message)
        super().__init__("".join(c if c.isprintable() else repr(c)[1:-1] for c in text))


class StoppedError(KnownError):
    """A run stopped as it was told to, and can go on: one line, exit code 3."""

    exit_code = 3


class OneLineErrors(click.Group):
    """Turns known failures of every command into one line and exit code 2."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; a traceback is left for what nobody foresaw."""
        try:
            return super().invoke(ctx)
        except StoppedOnPurposeError as error:
            raise StoppedError(error) from error
        except Error as error:
            raise KnownError(error) from error
        except (click.UsageError, KnownError):
            if _is_follower():
                time.sleep(LAST_WORDS)  # the first process says the same; torchrun ends this one
            raise
        except KeyboardInterrupt:
            raise _interrupted("Interrupted.") from None
        except BrokenPipeError:
            raise  # click ends quietly when the reader of a pipe has gone
        except Exception as error:
            line = cannot_be_loaded(error)
            if line is not None:
                raise KnownError(line) from error
            if not isinstance(error, OSError) or error.strerror is None:
                raise
            where = "a file" if error.filename is None else error.filename
            raise KnownError(f"{where}: {error.strerror}") from error


def _is_follower() -> bool:
    """Whether another process of torchrun's says the same."""
    try:
        return not read_ranks(os.environ).first
    except Error:  # variables of another launcher
        return False


def tell_lost_output(*, is_the_result: bool) -> None:
    """Tell that what a command printed could not be written, where it could not.

    Args:
        is_the_result: what is printed is all that the command gives; else it says of a result
            that is there.

    Raises:
        KnownError: the result was lost.
    """
    lost = lost_output()
    if lost is None:
        return
    if is_the_result:
        raise KnownError(f"standard output: {lost.strerror}")
    click.echo(
        f"warning: standard output: {lost.strerror}. The summary is lost, and nothing else.",
        err=True,
    )


@contextmanager
def interruptible(advice: str) -> Iterator[None]:
    """Ctrl-C and SIGTERM end the block alike: what is committed stays, `advice` is printed.

    Exits with 130, as shells expect of an interrupted command.
    """

    def stop(_signal: int, _frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    except KeyboardInterrupt:
        raise _interrupted(f"Interrupted. {advice}") from None
    finally:
        signal.signal(signal.SIGTERM, before)


def _interrupted(line: str) -> click.exceptions.Exit:
    """Say it, over the '^C' that a terminal has echoed."""
    click.echo(f"\r{line}" if is_terminal(sys.stderr) else line, err=True)
    return click.exceptions.Exit(130)


def same_command(*, resumed: bool = False) -> str:
    """The command as it was typed, to be shown for running it again.

    Args:
        resumed: with --resume, and without --overwrite, which would remove what is gone on from.
    """
    typed = sys.argv[1:]
    if resumed:
        typed = [*(word for word in typed if word not in ("--overwrite", "--resume")), "--resume"]
    return shlex.join([*program(), *typed])


def runtime_options(command: Command) -> Command:
    """The options of every command that decodes images and runs a network."""
    for option in (
        click.option(
            "--workers",
            type=click.IntRange(min=1),
            metavar="THREADS",
            help="Threads that read and decode.  [default: one a usable core]",
        ),
        click.option(
            "--loader",
            type=click.Choice(["auto", "dali", "host", "reference"]),
            default="auto",
            show_default=True,
            help="Who decodes: the DALI graph, the host path (libjpeg-turbo and torch), or the "
            "slow PIL reference. auto: DALI on a GPU, the host path elsewhere.",
        ),
        click.option(
            "--device",
            default="auto",
            show_default=True,
            metavar="DEVICE",
            help="auto, cpu, cuda or cuda:N. auto: the first GPU, else the CPU.",
        ),
    ):
        command = option(command)
    return command


def refuse_summary(file: Path | None, *, beside: Path, of: Path) -> None:
    """Refuse a place for a summary before the work is done, and one that would do harm.

    Args:
        file: the value of --json.
        beside: a folder whose JSON files belong to the program (a run, packed shards).
        of: predictions, whose record has a place of its own.

    Raises:
        KnownError: the name does not end in .json, its folder is missing, or it is `beside`; or it
            is the record's.
    """
    from vocscore.records.score_record import record_file

    if file is None:
        return
    if file.suffix.lower() != ".json":
        raise KnownError(f"--json {file}: name a file that ends in .json.")
    if not file.parent.is_dir():
        raise KnownError(f"--json {file}: no such folder. Make it, or name another.")
    if file.parent.resolve() == beside.resolve():
        raise KnownError(f"--json {file}: {beside} has JSON files of its own. Name another folder.")
    if file.absolute() == record_file(of).absolute():
        raise KnownError(
            f"--json {file}: there the record of {of} stands. Choose another name for the summary."
        )


def write_summary(file: Path, value: Mapping[str, Any]) -> None:
    """Write what --json asks for.

    Raises:
        KnownError: it cannot be written.
    """
    try:
        file.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise KnownError(f"--json {file}: {error.strerror}.") from error


quiet_option = click.option("--quiet", "-q", is_flag=True, help="No progress, no summary.")
