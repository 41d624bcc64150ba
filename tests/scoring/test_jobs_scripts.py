"""The scripts of docs/jobs.md, run as they stand."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_network import make_checkpoint, make_images

DOC = Path(__file__).parents[2] / "docs" / "jobs.md"


def script(name: str) -> str:
    """The script that is marked with a comment."""
    found = re.search(rf"```bash\n# jobs: {name}\n(.*?)```", DOC.read_text(), flags=re.DOTALL)
    assert found is not None
    return found[1]


@pytest.mark.slow
@pytest.mark.exclusive
@pytest.mark.parametrize("name", ["bash", "parallel"])
def test_the_scripts_of_the_page_write_the_predictions(name: str, tmp_path: Path) -> None:
    """Every job ends with 0, and the merge writes one row for each image."""
    if name == "parallel" and shutil.which("parallel") is None:
        pytest.skip("GNU parallel is not installed")
    (tmp_path / "photos").mkdir()
    make_images(tmp_path / "photos", [f"{i}.jpg" for i in range(20)], bad={3})
    make_checkpoint(tmp_path / "run", backbone="shufflenet_v2_x0_5")
    command = tmp_path / "bin" / "vocscore"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m vocscore "$@"\n')
    command.chmod(0o755)
    text = script(name)
    if name == "bash":
        text = text.replace("--quiet", "--quiet --unit-size 4")
    done = subprocess.run(
        ["bash", "-e", "-c", text],
        cwd=tmp_path,
        env={**os.environ, "PATH": f"{command.parent}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=500,
    )
    assert done.returncode == 0, done.stderr
    assert "images: 20" in done.stdout
    assert len((tmp_path / "predictions.csv").read_text().splitlines()) == 21
    record = json.loads((tmp_path / "predictions.csv.json").read_text())
    assert record["rows"] == 20
    assert "--units" in record["command"]
    assert not (tmp_path / "predictions.csv.parts").exists()
