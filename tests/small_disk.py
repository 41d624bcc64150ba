"""A disk of a few kilobytes for a test, without being the superuser."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
IN_NAMESPACE = """
set -e
mkdir -p "$1/disk"
mount -t tmpfs -o size=$2 tmpfs "$1/disk"
"$3" "$4" "$1"
"""


def in_a_small_disk(folder: Path, size: str, program: str, *, beside: Path) -> str:
    """Run a program with a disk of its own at FOLDER/disk, as a user namespace gives to anyone.

    Args:
        folder: where the disk is mounted; the program gets it as its only argument.
        size: of the disk, as mount takes it.
        program: Python; it may import what lies in `beside`.
        beside: a folder of tests.

    Returns:
        What it printed.
    """
    probe = subprocess.run(["unshare", "-rm", "true"], capture_output=True, check=False)
    if probe.returncode:
        pytest.skip("no user namespaces here, so no disk of a few kilobytes can be mounted")
    (folder / "program.py").write_text(program)
    command = ["unshare", "-rm", "sh", "-c", IN_NAMESPACE, "sh", str(folder), size]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(beside)])}
    done = subprocess.run(
        [*command, sys.executable, str(folder / "program.py")],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
