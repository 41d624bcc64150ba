"""The folder of a demo: clears it, and adds a bad image."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Final

from vocscore.errors import OptionError

if TYPE_CHECKING:
    from pathlib import Path

OWN_FOLDERS: Final = ("VOCdrawn", "shards", "run")
OWN_FILES: Final = ("predictions.csv", "predictions.csv.json", "eval.json")


def make_room(out: Path, *, overwrite: bool) -> None:
    """Remove the output of an earlier demo, and nothing else.

    Raises:
        OptionError: there is such output, and `overwrite` is not set.
    """
    old = [out / name for name in (*OWN_FOLDERS, *OWN_FILES)]
    found = [path for path in old if path.exists()]
    if found and not overwrite:
        raise OptionError(
            "{file} already exists: add {overwrite} or name another folder.", file=found[0]
        )
    for path in found:
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def spoil_one_image(folder: Path) -> Path:
    """Add a truncated image, as real folders contain them; return its path."""
    whole = min(folder.glob("*.jpg")).read_bytes()
    bad = folder / "cut_short.jpg"
    bad.write_bytes(whole[: len(whole) // 2])
    return bad
