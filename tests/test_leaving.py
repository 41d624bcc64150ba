"""A command ends in time, whatever a library has left behind in its process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from vocscore import leaving

SECONDS = 60
LEFT_BEHIND = {
    # as telemetry leaves one: a fork that hangs and does not hear SIGTERM
    "a deaf child": """
        fork = multiprocessing.get_context("fork")
        ready = fork.Event()
        fork.Process(target=hang, args=(ready,), daemon=True).start()
        ready.wait()
    """,
    "a deaf grandchild": """
        words = ["bash", "-c", "trap '' TERM; (sleep 600) & echo ready; wait"]
        subprocess.Popen(words, stdout=subprocess.PIPE).stdout.readline()
    """,
    "a thread": "threading.Thread(target=time.sleep, args=(600,)).start()",
    "an executor": "ThreadPoolExecutor(1).submit(time.sleep, 600)",
    "an exit handler": "atexit.register(time.sleep, 600)",
}
COMMAND = """
import atexit, multiprocessing, signal, subprocess, sys, textwrap, threading, time
from concurrent.futures import ThreadPoolExecutor
from vocscore import leaving
from vocscore.cli import main as module

def hang(ready):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    ready.set()
    time.sleep(600)

left = textwrap.dedent(sys.argv[1])
leaving.PATIENCE = 0.5
module.settle_threads = lambda: exec(left, globals())  # called as the command begins
sys.argv[1:] = ["verify"]
module.main(prog_name="vocscore")
"""


@pytest.mark.parametrize("left", LEFT_BEHIND)
def test_the_exit_is_not_held_up(left: str) -> None:
    """Children, threads and exit handlers that hang: exit code and output end as they would."""
    words = [sys.executable, "-c", COMMAND, LEFT_BEHIND[left]]
    done = subprocess.run(words, capture_output=True, timeout=SECONDS, check=False)
    assert b"Missing argument" in done.stderr, done.stderr.decode()
    assert done.returncode == 2


def test_what_a_shell_had_started_before_it_became_the_command_lives_on() -> None:
    """`helper & exec vocscore ...`: the helper is the process's child, but not the command's."""
    words = f"sleep 600 >&- & echo $!; exec {sys.executable} -m vocscore --version"
    done = subprocess.run(
        ["bash", "-c", words], stdout=subprocess.PIPE, timeout=SECONDS, check=True
    )
    helper = int(done.stdout.split()[0])
    os.kill(helper, signal.SIGKILL)  # ProcessLookupError, if it had been ended


def test_in_a_program_a_command_ends_nothing() -> None:
    """Called with its words, as tests and the demo do, a command leaves the process's children."""
    from click.testing import CliRunner

    from vocscore.cli.main import main

    child = subprocess.Popen(["sleep", "600"])
    try:
        assert CliRunner().invoke(main, ["--version"]).exit_code == 0
        assert child.poll() is None
    finally:
        child.kill()
        child.wait()


FORKS = """
import os, time
from vocscore import leaving
child = os.fork() or time.sleep(600)
assert leaving.descendants(os.getpid(), since=leaving.now() + 60) == [child]
leaving.end_children(os.getpid(), since=leaving.now() + 60)
assert os.waitpid(child, 0)[1] == 9
"""


def test_an_older_fork_is_a_descendant() -> None:
    """It is no other program: whatever forked, it was not the shell before this process."""
    subprocess.run([sys.executable, "-c", FORKS], timeout=SECONDS, check=True)


def test_older_programs_are_no_descendants() -> None:
    """Counted is what was started since a moment, children of children too."""
    older = subprocess.Popen(["sleep", "600"])
    time.sleep(0.1)
    since = leaving.now()
    words = "sleep 600 & echo ready; wait"
    newer = subprocess.Popen(["bash", "-c", words], stdout=subprocess.PIPE, text=True)
    try:
        assert newer.stdout.readline() == "ready\n"
        every = leaving.descendants(os.getpid())
        found = leaving.descendants(os.getpid(), since=since)
        assert {older.pid, newer.pid} <= set(every)
        assert older.pid not in found
        assert found[0] == newer.pid
        assert len(found) == 2
    finally:
        leaving.end_children(newer.pid)
        for child in (older, newer):
            child.kill()
            child.wait()
        newer.stdout.close()
