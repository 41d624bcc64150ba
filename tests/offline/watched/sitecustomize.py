"""Writes down what no process of this project may do; Python imports it in every process.

OFFLINE_LOG names the file of the misdeeds, a line each; OFFLINE_ROOTS the folders that may be
written, with ':' between them.
"""

from __future__ import annotations

import os
import sys
import traceback

LOG = os.open(os.environ["OFFLINE_LOG"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
ROOTS = tuple(os.environ["OFFLINE_ROOTS"].split(":"))
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT
BETWEEN_PROCESSES = 1  # AF_UNIX, without importing socket

PROBE = "urllib3/util/connection.py"


def note(what: str) -> None:
    """Write a line: what, and who called it."""
    frames = reversed(traceback.extract_stack()[:-2])
    called = " < ".join(f"{frame.filename}:{frame.lineno}" for frame in frames)
    os.write(LOG, f"{os.getpid()}: {what}: {called}\n".encode())


def watch(event: str, args: tuple) -> None:
    if event in ("os.fork", "os.forkpty"):
        note(event)
    elif event.startswith("socket.") and event != "socket.gethostname":
        on_socket(event, args)
    elif event in ("open", "os.mkdir"):
        path, writes = args[0], event == "os.mkdir" or args[2] & WRITES
        if writes and isinstance(path, (str, bytes)):
            on_write(os.path.realpath(os.fsdecode(path)))


def on_socket(event: str, args: tuple) -> None:
    """Between processes of the machine they are free: multiprocessing's pipes are such."""
    family = args[1] if event == "socket.__new__" else getattr(args[0], "family", None)
    if family != BETWEEN_PROCESSES and not is_probe(event, args):
        note(f"{event} {args!r}")
        raise PermissionError(f"{event}: not in this test")


def is_probe(event: str, args: tuple) -> bool:
    """Whether urllib3 asks the system, as it is imported, if there is IPv6.

    TensorBoard imports boto3 where that is installed, and so urllib3. It makes a socket and gives
    it an address of this machine; nothing is connected.
    """
    asked = event == "socket.__new__" or (event == "socket.bind" and args[1] == ("::1", 0))
    callers = {frame.filename[-len(PROBE) :] for frame in traceback.extract_stack()[-5:]}
    return asked and PROBE in callers


def on_write(path: str) -> None:
    above = any(root.startswith(f"{path}/") for root in ROOTS)  # a folder on the way to one
    if not above and not path.startswith((*ROOTS, "/dev/", "/proc/")):
        note(f"writes {path}")


sys.addaudithook(watch)
os.register_at_fork(before=lambda: note("fork"))
