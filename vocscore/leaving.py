"""Ends a process on time, even if a library has left threads or children behind.

At exit, the interpreter waits for remaining threads and child processes. One child that hangs and
ignores SIGTERM (a fork of a process whose threads held a lock) would keep a finished command from
ending, and a pipe that it has inherited from being closed.
"""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading
import time
from collections import defaultdict
from contextlib import suppress
from pathlib import Path

PATIENCE = 10.0
"""Seconds for threads and libraries to end by themselves."""


def now() -> float:
    """Seconds since boot, the clock of process start times."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


def leave_in_time(code: int, *, since: float) -> None:
    """End a command's child processes, and end this process within `PATIENCE`.

    Args:
        code: the exit code if time runs out.
        since: the start of the command, as from `now`. Older child processes are left alone: the
            shell that became this process (`exec`) may have started them.
    """
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            if stream is not None:  # None if it was closed at startup
                stream.flush()
    with suppress(ChildProcessError):  # no children
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        end_children(os.getpid(), since=since)
    ending = threading.Event()
    with suppress(RuntimeError):  # no thread can be started
        # now: no thread can be started at interpreter shutdown
        threading.Thread(target=_limit, args=(ending, code), daemon=True).start()
        # `atexit` itself runs after the wait for threads, including those of executors
        getattr(threading, "_register_atexit", atexit.register)(ending.set)


def _limit(ending: threading.Event, code: int) -> None:
    """Wait until the interpreter starts to exit, and end the process if it takes too long."""
    ending.wait()
    time.sleep(PATIENCE)
    os._exit(code)


def end_children(parent: int, *, since: float = 0.0) -> None:
    """Kill the descendants of a process. Without /proc, none are known.

    Args:
        parent: a process of this user, which is not killed.
        since: see `leave_in_time`.
    """
    for child in descendants(parent, since=since):
        with suppress(OSError):  # it has ended in the meantime
            os.kill(child, signal.SIGKILL)


def descendants(parent: int, *, since: float = 0.0) -> list[int]:
    """The living descendants of a process.

    Python's own tracker of shared memory is left out: it ends when its pipe is closed.

    Args:
        parent: a process.
        since: see `leave_in_time`.
    """
    tracker = getattr(
        sys.modules.get("multiprocessing.resource_tracker"), "_resource_tracker", None
    )
    spared = getattr(tracker, "_pid", None)
    ticks = os.sysconf("SC_CLK_TCK")
    children: dict[int, list[tuple[int, float]]] = defaultdict(list)
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it has ended in the meantime
            # fields from the third: state, parent, ...; the second, the name, may hold anything
            fields = stat.read_text(errors="replace").rpartition(")")[2].split()
            pid, started = int(stat.parent.name), (int(fields[19]) + 1) / ticks
            if fields[0] != "Z" and pid != spared:
                children[int(fields[1])].append((pid, started))
    own = _command(parent)
    found = [pid for pid, started in children[parent] if started >= since or _command(pid) == own]
    for one in found:  # the list grows during the loop
        found += [pid for pid, _ in children[one]]
    return found


def _command(pid: int) -> bytes:
    """The command line of a process (a fork has its parent's); empty if it has ended."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""
