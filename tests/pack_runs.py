"""Runs of `vocscore pack` in this process, and small images for them."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from click.testing import CliRunner, Result
from PIL import Image

from vocscore.cli.main import main

if TYPE_CHECKING:
    from pathlib import Path


def image(seed: int, kind: str = "JPEG") -> bytes:
    """A small image of one color."""
    file = io.BytesIO()
    Image.new("RGB", (16, 12), (seed * 37 % 256, seed * 91 % 256, 120)).save(file, kind)
    return file.getvalue()


def pack(*words: object) -> Result:
    """Run it; an exception other than an exit is raised here."""
    result = CliRunner().invoke(main, ["pack", *map(str, words)])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def refused(out: Path, *words: object) -> str:
    """The one line of a packing that stops with exit code 2 before anything is written."""
    result = pack(*words, "-o", out)
    assert result.exit_code == 2, result.output
    assert not out.exists()
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("Error: ")]
    return line
