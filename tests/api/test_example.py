"""The script of docs/examples runs from an empty folder to a table of mistakes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "from_folder_to_mistakes.py"


@pytest.mark.slow
def test_the_example_runs(tmp_path: Path) -> None:
    """With few images and one epoch, in the folder where it is started."""
    done = subprocess.run(
        [sys.executable, EXAMPLE, "60", "1"],
        check=False,
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "demo" / "predictions.csv").is_file()
    assert (tmp_path / "demo" / "report.html").is_file()
    assert "vanished" in done.stdout  # the path that is not there
    assert "with probability" in done.stdout
