"""Starts the processes of one training by forking, as torchrun does by starting interpreters.

A program: each line of its input is a JSON list, the number of processes and then the words of the
command line; each line of its output is a JSON object: exit codes, standard output and error. It
imports what a training needs once, runs nothing itself, and so has no threads when it forks.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import tempfile
from pathlib import Path
from typing import Any

# the root first: tests/shards must not be taken for the package
sys.path += [str(Path(__file__).parents[up]) for up in (2, 1)]

import light_training
import pytest
import tiny_backbone

from vocscore.cli.main import main as vocscore_main

OUTPUTS = ("out", "err")  # file descriptors 1 and 2


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def start(rank: int, processes: int, words: list[str], *, port: int, folder: Path) -> int:
    """Fork one process of the job, with the variables that torchrun sets."""
    # before the fork: a process may be ended before it runs its first line
    files = [os.open(folder / f"{rank}.{name}", os.O_WRONLY | os.O_CREAT) for name in OUTPUTS]
    born = os.fork()
    if not born:
        for number, file in enumerate(files, 1):
            os.dup2(file, number)
    for file in files:
        os.close(file)
    if born:
        return born
    told = {"RANK": rank, "LOCAL_RANK": rank, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    sizes = {"WORLD_SIZE": processes, "LOCAL_WORLD_SIZE": processes}
    os.environ.update({name: str(value) for name, value in {**told, **sizes}.items()})
    code = 1
    try:
        vocscore_main(words, prog_name="vocscore")
    except SystemExit as done:
        code = int(done.code or 0)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def run(processes: int, words: list[str]) -> dict[str, Any]:
    """Run a job to its end; when one process fails, end the others, as torchrun does."""
    with tempfile.TemporaryDirectory() as temporary:
        folder, port = Path(temporary), free_port()
        living = {
            start(rank, processes, words, port=port, folder=folder): rank
            for rank in range(processes)
        }
        codes = [0] * processes
        while living:
            ended, status = os.wait()
            codes[living.pop(ended)] = os.waitstatus_to_exitcode(status)
            if status:
                for other in living:
                    os.kill(other, signal.SIGTERM)
        said = {
            name: "".join((folder / f"{rank}.{name}").read_text() for rank in range(processes))
            for name in OUTPUTS
        }
    return {"codes": codes, **said}


def main() -> None:
    """Run the jobs that are asked for, one after the other."""
    light_training.import_early()
    patch = pytest.MonkeyPatch()  # for as long as this program lasts
    light_training.skip_charts(patch)
    tiny_backbone.register(patch)
    for line in sys.stdin:
        processes, *words = json.loads(line)
        sys.stdout.write(json.dumps(run(processes, words)) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
