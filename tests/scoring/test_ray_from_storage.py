"""`vocscore score --on ray` from object storage to object storage."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from tiny_network import make_checkpoint, make_images

if TYPE_CHECKING:
    from pathlib import Path

    from s3_server import Bucket

pytestmark = [pytest.mark.slow, pytest.mark.exclusive]

SECONDS = 120
NAMES = [f"{number:03d}.jpg" for number in range(30)]


def test_bytes_are_those_of_a_local_run(
    storage: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Images, model and predictions in a bucket; two workers; bad images are the same rows."""
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'vocscore[ray]'")
    for name in ("RAY_ADDRESS", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH", "RAY_AUTH_MODE"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "photos").mkdir()
    photos = make_images(tmp_path / "photos", NAMES, bad={3, 20})
    checkpoint = make_checkpoint(tmp_path / "run", backbone="squeezenet1_1")
    storage.put_tree(photos, "photos")
    storage.put_tree(checkpoint, "run")
    predictions, local = storage.url("predictions.csv"), tmp_path / "local.csv"

    def score(source: object, model: object, output: object, *more: object) -> str:
        words = ("score", source, "-m", model, "-o", output, "--unit-size", 8, *more)
        done = subprocess.run(
            [sys.executable, "-m", "vocscore", *map(str, words)],
            check=False,
            capture_output=True,
            text=True,
            timeout=SECONDS,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    on_ray = ("--on", "ray", "--processes", 2, "--cpus-per-process", 1)
    told = score(storage.url("photos"), storage.url("run"), predictions, *on_ray)
    assert "images: 30" in told
    score(photos, checkpoint, local)
    assert storage.get("predictions.csv") == local.read_bytes()
    assert ".parts/" not in "\n".join(storage.keys())
