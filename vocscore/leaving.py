"""The end of a process that nothing holds up which a library has left behind.

An interpreter that ends waits for the threads and the child processes that are left. One child that
hangs and does not hear SIGTERM (a fork of a process whose threads held a lock) would keep a
finished command from ending, and a pipe that it has inherited from being closed.
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
"""Seconds in which threads and libraries may end by themselves."""


def now() -> float:
    """Seconds since the machine was started, as the starts of processes are counted."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


def leave_in_time(code: int, *, since: float) -> None:
    """End what a command has started, and let this process take no longer than `PATIENCE` to end.

    Args:
        code: the exit code, should time run out.
        since: when the command began, as `now` gives it. Other programs that are older are left
            alone: a shell that became this process (`exec`) may have started them.
    """
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            if stream is not None:  # it was closed from the beginning
                stream.flush()
    with suppress(ChildProcessError):  # it has none
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        end_children(os.getpid(), since=since)
    ending = threading.Event()
    with suppress(RuntimeError):  # no thread can be started
        # now: an interpreter that ends starts none
        threading.Thread(target=_limit, args=(ending, code), daemon=True).start()
        # `atexit` itself comes after the wait for threads, among them those of executors
        getattr(threading, "_register_atexit", atexit.register)(ending.set)


def _limit(ending: threading.Event, code: int) -> None:
    """Wait until the interpreter has begun to end, and end the process if it does not finish."""
    ending.wait()
    time.sleep(PATIENCE)
    os._exit(code)


def end_children(parent: int, *, since: float = 0.0) -> None:
    """Kill what a process has started, and what that has started. Without /proc, nothing is known.

    Args:
        parent: a process of this user, which is not killed.
        since: see `leave_in_time`.
    """
    for child in descendants(parent, since=since):
        with suppress(OSError):  # it has ended meanwhile
            os.kill(child, signal.SIGKILL)


def descendants(parent: int, *, since: float = 0.0) -> list[int]:
    """The living processes that come from one.

    Left out is Python's own tracker of shared memory: it ends when nobody holds its pipe.

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
        with suppress(OSError):  # it has ended meanwhile
            # from the third on: state, parent, ...; the second is the name, with any characters
            fields = stat.read_text(errors="replace").rpartition(")")[2].split()
            pid, started = int(stat.parent.name), (int(fields[19]) + 1) / ticks
            if fields[0] != "Z" and pid != spared:
                children[int(fields[1])].append((pid, started))
    own = _command(parent)
    found = [pid for pid, started in children[parent] if started >= since or _command(pid) == own]
    for one in found:  # which grows meanwhile
        found += [pid for pid, _ in children[one]]
    return found


def _command(pid: int) -> bytes:
    """How a process was called: a fork as its parent. Nothing where it has ended."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""
