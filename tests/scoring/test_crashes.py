from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from score_doubles import make_files, score_fake

pytestmark = pytest.mark.exclusive

DRIVER = Path(__file__).with_name("dying.py")


@pytest.fixture
def source(tmp_path):
    names = [f"{i:02d}{'bad' if i % 7 == 3 else ''}.jpg" for i in range(23)]
    return make_files(tmp_path / "images", names)


@pytest.fixture
def expected(tmp_path, source):
    output = tmp_path / "undisturbed.csv"
    score_fake(source, output, unit_size=5)
    return output.read_bytes()


def drive(how, source, folder):
    folder.mkdir()
    done = subprocess.run(
        [sys.executable, DRIVER, how, source, folder],
        check=True,
        capture_output=True,
        text=True,
        timeout=300,
    )
    return json.loads(done.stdout)


def check_all(folder, expected, *, least):
    runs = list(folder.iterdir())
    assert len(runs) >= least
    for run in runs:
        assert (run / "out.csv").read_bytes() == expected
        assert [path.name for path in run.iterdir()] == ["out.csv"]


def test_killed_before_each_touch_of_the_disk_the_next_run_ends_with_the_same_bytes(
    tmp_path, source, expected
):
    """Killed by -9 at every step that touches the disk, the next run gives equal bytes."""
    steps = drive("steps", source, tmp_path / "runs")
    assert steps > 50  # 5 units, each with 2 files written and renamed, the merge, the removal
    check_all(tmp_path / "runs", expected, least=steps)


def test_killed_at_random_moments_again_and_again_it_ends_with_the_same_bytes(
    tmp_path, source, expected
):
    """Killed by -9 at seeded moments until it gets through, a run gives equal bytes."""
    kills = drive("20", source, tmp_path / "runs")
    assert kills >= 20
    check_all(tmp_path / "runs", expected, least=2)
