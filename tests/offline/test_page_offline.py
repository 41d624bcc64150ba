"""The page reaches and is reached by this machine only, forks nothing, and leaves nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from written_predictions import draw


def test_the_page_stays_on_this_machine(tmp_path: Path) -> None:
    """Served, asked for and closed: no connection elsewhere, no fork, no file but the columns."""
    predictions = draw(20).write(tmp_path / "p.csv")
    home = tmp_path / "home"
    home.mkdir()
    work = tmp_path / "work"
    work.mkdir()
    root = Path(__file__).parents[2]
    environment = {**os.environ, "HOME": str(home), "PYTHONPATH": str(root)}
    environment.pop("XDG_CACHE_HOME", None)
    program = Path(__file__).with_name("page.py")
    done = subprocess.run(
        [sys.executable, "-B", program, predictions],
        cwd=work,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert done.stderr == ""
    assert list(work.iterdir()) == []
    found = {path.relative_to(home).as_posix() for path in home.rglob("*")}
    assert ".cache/vocscore/columns" in found
    others = {name for name in found if not name.startswith(".cache/vocscore/")}
    assert others == {".cache", ".cache/vocscore"}
