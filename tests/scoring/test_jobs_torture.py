"""Jobs under kills: the output is whole or absent, each row once, and nothing is left behind."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

DRIVER = Path(__file__).with_name("dying_jobs.py")


@pytest.mark.exclusive
def test_killed_before_each_touch_of_the_disk_another_job_finishes(tmp_path):
    """SIGKILL at every step of a job and its merge; and jobs that overlap while some are killed."""
    done = subprocess.run(
        [sys.executable, DRIVER, tmp_path / "runs"],
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["steps"] > 45
    assert told["kills"] > 0
