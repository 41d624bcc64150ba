"""The folder of a demo: room for it, and a bad image in it."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Final

from vocscore.errors import OptionError

if TYPE_CHECKING:
    from pathlib import Path

OWN_FOLDERS: Final = ("VOCdrawn", "shards", "run")
OWN_FILES: Final = ("predictions.csv", "predictions.csv.json", "eval.json")


def make_room(out: Path, *, overwrite: bool) -> None:
    """Remove what an earlier demo made, and nothing else.

    Raises:
        OptionError: there is something, and it may not be removed.
    """
    old = [out / name for name in (*OWN_FOLDERS, *OWN_FILES)]
    found = [path for path in old if path.exists()]
    if found and not overwrite:
        raise OptionError(
            "{file} is there already: add {overwrite} or name another folder.", file=found[0]
        )
    for path in found:
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def spoil_one_image(folder: Path) -> Path:
    """Add an image that was cut short, as real folders hold them; return its path."""
    whole = min(folder.glob("*.jpg")).read_bytes()
    bad = folder / "cut_short.jpg"
    bad.write_bytes(whole[: len(whole) // 2])
    return bad
