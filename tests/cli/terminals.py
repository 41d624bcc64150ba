"""A terminal for tests: a real pseudo-terminal, and what stands on its screen at the end."""

from __future__ import annotations

import fcntl
import os
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

LONGEST = 60.0


@dataclass(frozen=True)
class Session:
    """What a program did on a terminal.

    Attributes:
        code: its exit code; negative for a signal.
        sent: everything that it wrote.
        columns: of the terminal.
    """

    code: int
    sent: str
    columns: int

    @property
    def screen(self) -> list[str]:
        """The lines that are left, without blanks behind; the last one is where the cursor is."""
        rows: list[list[str]] = [[]]
        at = 0
        for char in self.sent:
            if char == "\r":
                at = 0
            elif char == "\n":
                rows.append([])
            else:
                if at >= self.columns:  # the terminal wraps
                    rows.append([])
                    at = 0
                row = rows[-1]
                row.extend(" " * (at + 1 - len(row)))
                row[at] = char
                at += 1
        return ["".join(row).rstrip() for row in rows]


def run_on_terminal(
    words: Sequence[str],
    *,
    columns: int = 80,
    environment: Mapping[str, str] | None = None,
    interrupt_at: str | None = None,
    stdout: int | None = None,
) -> Session:
    """Run a program with its three streams on a terminal.

    Args:
        words: the program and its arguments; Python scripts begin with `python()`.
        columns: 0: the terminal does not know its width.
        environment: in addition to this process's.
        interrupt_at: press Ctrl-C when the program has written this.
        stdout: a descriptor to use as standard output in place of the terminal.
    """
    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    settings = {"TERM": "xterm", **(environment or {})}
    program = subprocess.Popen(
        words,
        stdin=theirs,
        stdout=theirs if stdout is None else stdout,
        stderr=theirs,
        env={**{k: v for k, v in os.environ.items() if k != "COLUMNS"}, **settings},
        preexec_fn=_take_terminal,  # noqa: PLW1509 - no other thread is at work here
    )
    os.close(theirs)
    sent, pressed, until = b"", interrupt_at is None, time.monotonic() + LONGEST
    while time.monotonic() < until:
        if select.select([ours], [], [], 0.1)[0]:
            try:
                some = os.read(ours, 65536)
            except OSError:  # Linux says so when the last process has left the terminal
                break
            sent += some
        if not pressed and interrupt_at is not None and interrupt_at.encode() in sent:
            os.write(ours, b"\x03")
            pressed = True
    program.kill()
    os.close(ours)
    return Session(program.wait(), sent.decode(errors="replace"), columns or 80)


def python(code: str) -> list[str]:
    """Words that run a piece of Python."""
    return [sys.executable, "-c", code]


def _take_terminal() -> None:
    """Make the terminal the session's own, so that Ctrl-C reaches it, and hear it.

    A shell's background jobs, and all that they start, are deaf to Ctrl-C.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.setsid()
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
