"""Progress of a long command: one line of a terminal that is redrawn, or periodic lines of a log.

A command names its stages ("loading the model") and counts within them. A count is only stored: a
thread shows it, ten times a second on a terminal, every 30 seconds in a log, so that reporting
costs almost nothing. A log begins when work is counted or has taken half a second: a command that
fails before that prints only its error.
"""

from __future__ import annotations

import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TextIO

from vocscore.cli.status_line import StatusLine, is_terminal
from vocscore.cli.typed_options import echo

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SECONDS_BETWEEN_LOG_LINES = 30.0
SECONDS_BETWEEN_DRAWINGS = 0.1
SECONDS_BEFORE_A_LOG = 0.5
_SECONDS_UNTIL_A_CLOCK = 2.0
"""A stage that takes longer shows its elapsed time, as a sign of life."""


@dataclass(frozen=True, slots=True)
class _Doing:
    """The current stage and its counts.

    Attributes:
        stage: name of the stage.
        since: `time.monotonic` when it began; with counts, when the first count came.
        latest: when the latest count came.
        first: the first count: what was done before, such as by an earlier run.
        done: number finished; None without counts.
        total: number in total; None if unknown.
        errors: number finished with an error.
    """

    stage: str
    since: float
    latest: float = 0.0
    first: int = 0
    done: int | None = None
    total: int | None = None
    errors: int = 0

    @property
    def seconds(self) -> float:
        """Seconds since it began."""
        return max(time.monotonic() - self.since, 1e-9)

    @property
    def rate(self) -> float | None:
        """Counts per second up to the latest count, so that it does not fall between two."""
        if self.done is None or self.done == self.first or self.latest == self.since:
            return None
        return (self.done - self.first) / (self.latest - self.since)

    @property
    def words(self) -> str:
        """The stage and its progress, as text."""
        if self.done is None:
            clock = f", {self.seconds:.0f} s" if self.seconds >= _SECONDS_UNTIL_A_CLOCK else ""
            return f"{self.stage}{clock}"
        if not self.total:
            return f"{self.stage}, {self.done} found" if self.done else self.stage
        return f"{self.stage}, {self.done} of {self.total}"


class _View(Protocol):
    """Shows progress somewhere."""

    first: float
    """Seconds from the first stage to the first update."""
    every: float
    """Seconds between two updates."""
    at_once: bool
    """Whether a stage is shown immediately when it begins, or at the next update."""

    def show(self, doing: _Doing) -> None: ...

    def close(self) -> None: ...


class Progress:
    """Shows what a command is doing. Close it, or use `progress`.

    Args:
        label: name of the command, the first word of each log line.
        quiet: show nothing.
        unit: unit of the counts.
    """

    def __init__(self, label: str, *, quiet: bool, unit: str = "img") -> None:
        self._doing = _Doing(label, time.monotonic())
        self._view: _View | None = None
        if not quiet:
            terminal = is_terminal(sys.stderr)
            self._view = _Drawn(sys.stderr, unit) if terminal else _Logged(label, unit)
        self._ticker: _Ticker | None = None
        self._shown = False

    def stage(self, name: str) -> None:
        """Begin a stage."""
        self._doing = _Doing(name, time.monotonic())
        self._tell(counted=False)

    def __call__(self, done: int, total: int, errors: int = 0) -> None:
        """Report that `done` of `total` are finished in this stage, `errors` of them failed."""
        self._count(done, total, errors)

    def listing(self, files: int) -> None:
        """Report the number of files found so far, with an unknown total."""
        self._count(files, None, 0)

    def _count(self, done: int, total: int | None, errors: int) -> None:
        before, now = self._doing, time.monotonic()
        if before.done is None:
            self._doing = _Doing(before.stage, now, now, done, done, total, errors)
            self._tell(counted=total is not None)
        else:
            first, since = before.first, before.since
            self._doing = _Doing(before.stage, since, now, first, done, total, errors)

    def _tell(self, *, counted: bool) -> None:
        """Start the periodic updates, and update now if the view needs it."""
        view = self._view
        if view is None:
            return
        if self._ticker is None:
            self._ticker = _Ticker(self._look, first=view.first, every=view.every)
        if view.at_once or (counted and not self._shown):
            self._ticker.begin_again()
            self._look()

    def _look(self) -> None:
        if self._view is not None:
            self._shown = True
            self._view.show(self._doing)

    def close(self) -> None:
        """Remove the line from the terminal, and show nothing more."""
        if self._ticker is not None:
            self._ticker.stop()
        if self._view is not None:
            self._view.close()
        self._view = self._ticker = None


@contextmanager
def progress(label: str, *, quiet: bool, unit: str = "img") -> Iterator[Progress]:
    """Show the progress of the block."""
    shown = Progress(label, quiet=quiet, unit=unit)
    try:
        yield shown
    finally:
        shown.close()


class _Drawn:
    """A `_View` for a terminal: the stage, or a bar."""

    def __init__(self, stream: TextIO, unit: str) -> None:
        self.first = self.every = SECONDS_BETWEEN_DRAWINGS
        self.at_once = True
        self._line = StatusLine(stream)
        self._unit = unit
        self._ascii = not _has_blocks(stream)
        self._last = ""

    def show(self, doing: _Doing) -> None:
        """Draw the line if it has changed."""
        text = self._text(doing)
        if text != self._last:
            self._last = text
            self._line.show(text)

    def _text(self, doing: _Doing) -> str:
        if doing.done is None or not doing.total:
            return doing.words
        from tqdm import tqdm

        bar: str = tqdm.format_meter(
            doing.done,
            doing.total,
            doing.seconds,
            ncols=self._line.width,
            prefix=doing.stage,
            ascii=self._ascii,
            unit=self._unit,
            postfix=f"errors={doing.errors}" if doing.errors else "",
            initial=doing.first,
            rate=doing.rate or 0,  # with None, tqdm would compute the rate of everything done
        )
        return bar

    def close(self) -> None:
        """Remove the line."""
        self._line.close()


class _Logged:
    """A `_View` for a log: one line per update."""

    def __init__(self, label: str, unit: str) -> None:
        self.first, self.every = SECONDS_BEFORE_A_LOG, SECONDS_BETWEEN_LOG_LINES
        self.at_once = False
        self._label = label
        self._unit = unit

    def show(self, doing: _Doing) -> None:
        """Write a line."""
        echo(f"{self._label}: {doing.words}{self._rate(doing)}", err=True)

    def _rate(self, doing: _Doing) -> str:
        if doing.done is None or not doing.total:
            return ""
        bad = f", {doing.errors} errors" if doing.errors else ""
        if not doing.rate:
            return bad
        left = (doing.total - doing.done) / doing.rate
        return f", {doing.rate:.0f} {self._unit}/s, {left:.0f} s left{bad}"

    def close(self) -> None:
        """Do nothing: log lines are kept."""


class _Ticker:
    """Calls a function periodically in a thread, until it is stopped."""

    def __init__(self, call: Callable[[], None], *, first: float, every: float) -> None:
        self._due = time.monotonic() + first
        self._stopped = threading.Event()
        self._call = call
        self._every = every
        self._thread = threading.Thread(target=self._run, name="vocscore-progress", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._stopped.wait(max(0.0, self._due - time.monotonic())):
            if time.monotonic() >= self._due:
                self.begin_again()
                self._call()

    def begin_again(self) -> None:
        """Restart the interval now."""
        self._due = time.monotonic() + self._every

    def stop(self) -> None:
        """Stop calling."""
        self._stopped.set()
        self._thread.join()


def _has_blocks(stream: TextIO) -> bool:
    """Whether a terminal's encoding has the block characters of a smooth bar."""
    try:
        "\u2588\u258f".encode(stream.encoding)
    except (UnicodeEncodeError, LookupError, TypeError):
        return False
    return True
