"""What the commands share: errors in one line, progress, summaries, options met twice."""

from __future__ import annotations

import os
import shlex
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import click

from shards.errors import ShardsError
from vocscore.cli.libraries import cannot_be_loaded
from vocscore.cli.shown_commands import program
from vocscore.distributed import read_ranks
from vocscore.errors import StoppedOnPurposeError, VocscoreError

if TYPE_CHECKING:
    from pathlib import Path

Command = TypeVar("Command", bound=Callable[..., Any])

SECONDS_BETWEEN_LOG_LINES = 30.0
LAST_WORDS = 30.0
"""Seconds in which torchrun ends a process whose error is another one's, too."""


class KnownError(click.ClickException):
    """A known failure: one line on standard error, exit code 2."""

    exit_code = 2


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
            raise StoppedError(str(error)) from error
        except (ShardsError, VocscoreError) as error:
            raise KnownError(str(error)) from error
        except click.UsageError:
            if not read_ranks(os.environ).first:
                time.sleep(LAST_WORDS)  # the first process says the same; torchrun ends this one
            raise
        except BrokenPipeError:
            raise  # click ends quietly when the reader of a pipe has gone
        except Exception as error:
            line = cannot_be_loaded(error)
            if line is not None:
                raise KnownError(line) from error
            if not isinstance(error, OSError) or error.strerror is None:
                raise
            where = "standard output" if error.filename is None else error.filename
            raise KnownError(f"{where}: {error.strerror}") from error


class Progress:
    """Counts to a terminal as a bar, to a log as a line every 30 seconds.

    Both show the rate, the time left and, where there are any, the errors so far.
    """

    def __init__(self, label: str, *, quiet: bool, unit: str = "img") -> None:
        """Show nothing yet: the total comes with the first call."""
        self._label = label
        self._unit = unit
        self._quiet = quiet
        self._bar: Any = None
        self._found: Any = None
        self._started = time.monotonic()
        self._last_line = self._started

    def __call__(self, done: int, total: int, errors: int = 0) -> None:
        """Show that `done` of `total` are finished, `errors` of them badly."""
        if self._quiet:
            return
        if sys.stderr.isatty():
            self._draw(done, total, errors)
        elif time.monotonic() - self._last_line >= SECONDS_BETWEEN_LOG_LINES:
            self._last_line = time.monotonic()
            self._log(done, total, errors)

    def listing(self, files: int) -> None:
        """Show that so many files have been found; how many there will be, nobody knows yet."""
        if self._quiet:
            return
        if sys.stderr.isatty():
            if self._found is None:
                self._found = self._counter()
            self._found.update(files - self._found.n)
        elif time.monotonic() - self._last_line >= SECONDS_BETWEEN_LOG_LINES:
            self._last_line = time.monotonic()
            click.echo(f"listing: {files} files", err=True)

    def _counter(self) -> Any:
        from tqdm import tqdm

        return tqdm(desc="listing", unit=" files", leave=False)

    def _draw(self, done: int, total: int, errors: int) -> None:
        if self._bar is None:
            from tqdm import tqdm

            if self._found is not None:
                self._found.close()
            self._bar = tqdm(total=total, desc=self._label, unit=self._unit, leave=False)
        self._bar.total = total
        if errors:
            self._bar.set_postfix(errors=errors, refresh=False)
        self._bar.update(done - self._bar.n)

    def _log(self, done: int, total: int, errors: int) -> None:
        seconds = max(time.monotonic() - self._started, 1e-9)
        rate = done / seconds
        left = f"{(total - done) / rate:.0f} s left" if rate else "time left unknown"
        bad = f", {errors} errors" if errors else ""
        click.echo(
            f"{self._label}: {done} of {total}, {rate:.0f} {self._unit}/s, {left}{bad}", err=True
        )

    def close(self) -> None:
        """Take the bar off the terminal."""
        for bar in (self._found, self._bar):
            if bar is not None:
                bar.close()


@contextmanager
def progress(label: str, *, quiet: bool, unit: str = "img") -> Iterator[Progress]:
    """Show progress while the block runs."""
    shown = Progress(label, quiet=quiet, unit=unit)
    try:
        yield shown
    finally:
        shown.close()


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
        click.echo(f"\nInterrupted. {advice}", err=True)
        raise click.exceptions.Exit(130) from None
    finally:
        signal.signal(signal.SIGTERM, before)


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
    """The options of every command that decodes pictures and runs a network."""
    for option in (
        click.option(
            "--workers",
            type=click.IntRange(min=1),
            metavar="THREADS",
            help="Threads that read and decode.  [default: one a usable core]",
        ),
        click.option(
            "--maker",
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


quiet_option = click.option("--quiet", "-q", is_flag=True, help="No progress, no summary.")
