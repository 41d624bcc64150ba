"""Shared by the commands: errors in one line, interruptions, summaries, common options."""

from __future__ import annotations

import json
import os
import shlex
import signal
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from shards.errors import Error
from vocscore.cli.libraries import cannot_be_loaded
from vocscore.cli.options import panel_option
from vocscore.cli.progress import Progress, progress
from vocscore.cli.shown_commands import program
from vocscore.cli.status_line import is_terminal
from vocscore.cli.streams import lost_output
from vocscore.cli.typed_options import as_typed, echo
from vocscore.errors import StoppedOnPurposeError, UnfinishedError
from vocscore.ranks import read_ranks

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

__all__ = ["Progress", "progress"]  # re-exported, in addition to what is defined here

LAST_WORDS = 30.0
"""Seconds that a process waits for torchrun to end it, if the first process has the same error."""


class KnownError(click.ClickException):
    """A known failure: one line on standard error, exit code 2."""

    exit_code = 2

    def __init__(self, message: object) -> None:
        """Spell options as typed; escape control characters, which file names may contain."""
        text = as_typed(str(message))
        super().__init__("".join(c if c.isprintable() else repr(c)[1:-1] for c in text))


class StoppedError(KnownError):
    """A run stopped as requested and can be resumed: one line, exit code 3."""

    exit_code = 3


class IncompleteError(KnownError):
    """Jobs have to score more before the output can be written: one line, exit code 4."""

    exit_code = 4


class OneLineErrors(click.Group):
    """Turns known failures of every command into one line and exit code 2."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; only unexpected errors have a traceback."""
        try:
            return super().invoke(ctx)
        except Error as error:
            raise _known(error)(error) from error
        except (click.UsageError, KnownError):
            if _is_follower():
                time.sleep(LAST_WORDS)  # the first process prints it; torchrun ends this one
            raise
        except KeyboardInterrupt:
            raise _interrupted("Interrupted.") from None
        except BrokenPipeError:
            raise  # click exits silently when the reader of a pipe has gone
        except Exception as error:
            line = cannot_be_loaded(error)
            if line is not None:
                raise KnownError(line) from error
            if not isinstance(error, OSError) or error.strerror is None:
                raise
            where = "a file" if error.filename is None else error.filename
            raise KnownError(f"{where}: {error.strerror}") from error


def _known(error: Error) -> type[KnownError]:
    """What a known error becomes, by its exit code."""
    if isinstance(error, UnfinishedError):
        return IncompleteError
    return StoppedError if isinstance(error, StoppedOnPurposeError) else KnownError


def _is_follower() -> bool:
    """Whether another torchrun process prints the same error."""
    try:
        return not read_ranks(os.environ).first
    except Error:  # variables of another launcher
        return False


def tell_lost_output(*, is_the_result: bool) -> None:
    """Report that a command's printed text could not be written, if so.

    Args:
        is_the_result: whether the printed text is the command's only result; otherwise it is a
            summary of files that were written.

    Raises:
        KnownError: the result was lost.
    """
    lost = lost_output()
    if lost is None:
        return
    if is_the_result:
        raise KnownError(f"standard output: {lost.strerror}")
    echo(
        f"warning: standard output: {lost.strerror}. Only the summary is lost.",
        err=True,
    )


@contextmanager
def interruptible(advice: str) -> Iterator[None]:
    """End the block on Ctrl-C and SIGTERM: committed work is kept, `advice` is printed.

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
    """Print a line over the '^C' that a terminal has echoed."""
    echo(f"\r{line}" if is_terminal(sys.stderr) else line, err=True)
    return click.exceptions.Exit(130)


def same_command(*, resumed: bool = False) -> str:
    """Return the command as typed, to be shown for rerunning it.

    Args:
        resumed: add --resume and omit --overwrite, which would remove what is to be resumed.
    """
    typed = sys.argv[1:]
    if resumed:
        typed = [*(word for word in typed if word not in ("--overwrite", "--resume")), "--resume"]
    return shlex.join([*program(), *typed])


def refuse_summary(file: Path | None, *, beside: Path, of: Path) -> None:
    """Check the path of a summary before the work starts.

    Args:
        file: the value of --json.
        beside: a folder with JSON files of the program (a run, packed shards).
        of: predictions, beside which their record is.

    Raises:
        KnownError: the name does not end in .json, its folder is missing or is `beside`, or it is
            the path of the record.
    """
    from vocscore.records.score_record import record_file

    if file is None:
        return
    if file.suffix.lower() != ".json":
        raise KnownError(f"--json {file}: name a file that ends in .json.")
    if not file.parent.is_dir():
        raise KnownError(f"--json {file}: no such folder. Create it, or name another.")
    if file.parent.resolve() == beside.resolve():
        raise KnownError(f"--json {file}: {beside} has JSON files of its own. Name another folder.")
    if file.absolute() == record_file(of).absolute():
        raise KnownError(
            f"--json {file}: this is the record of {of}. Choose another name for the summary."
        )


def refuse_outputs(outputs: Mapping[str, Path | None], *, of: Path) -> None:
    """Refuse to write over what is read, its record, or a file in its folder.

    Raises:
        KnownError: an output is one of these.
    """
    from vocscore.records.score_record import record_file

    kept = {of.resolve(), record_file(of).resolve(), record_file(of.resolve()).resolve()}
    for option, file in outputs.items():
        if file is not None and (file.resolve() in kept or file.resolve().parent == of.resolve()):
            raise KnownError(f"{option} {file}: belongs to {of}. Choose another name.")


def write_summary(file: Path, value: Mapping[str, Any]) -> None:
    """Write the summary for --json.

    Raises:
        KnownError: it cannot be written.
    """
    try:
        file.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise KnownError(f"--json {file}: {error.strerror}.") from error


quiet_option = panel_option(
    "--quiet", "-q", panel="Output", is_flag=True, help="No progress, no summary."
)
