"""The folder of a demo: clears it, and adds a bad image."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Final

from vocscore.errors import OptionError

if TYPE_CHECKING:
    from pathlib import Path

OWN_FOLDERS: Final = ("VOCdrawn", "shards", "run")
OWN_FILES: Final = ("predictions.csv", "predictions.csv.json", "eval.json", "report.html")
MARK: Final = ".vocscore-demo"
"""A file in the folder: what has a demo's names there is a demo's, and may be removed."""
_OTHERS: Final = ("dataset.json", "model.json")
"""Files of a packed set and of a run."""


def make_room(out: Path, *, overwrite: bool) -> None:
    """Remove the output of an earlier demo, and nothing else; mark the folder as a demo's.

    Raises:
        OptionError: there is such output and `overwrite` is not set, or it is not a demo's; or the
            folder is a file, a packed set or a run.
    """
    if out.exists() and not out.is_dir():
        raise OptionError(f"{out}: is a file. Name a folder.")
    other = next((out / name for name in _OTHERS if (out / name).exists()), None)
    if other is not None:
        raise OptionError(f"{other} exists: a demo needs a folder of its own.")
    old = [out / name for name in (*OWN_FOLDERS, *OWN_FILES)]
    found = [path for path in old if path.exists()]
    if found and not (out / MARK).exists():
        raise OptionError(f"{found[0]} already exists, and no demo made it. Name another folder.")
    if found and not overwrite:
        raise OptionError(
            f"{found[0]} already exists: add `overwrite=True` or name another folder."
        )
    for path in found:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    out.mkdir(parents=True, exist_ok=True)
    (out / MARK).touch()


def spoil_one_image(folder: Path) -> Path:
    """Add a truncated image, as real folders contain them; return its path."""
    whole = min(folder.glob("*.jpg")).read_bytes()
    bad = folder / "cut_short.jpg"
    bad.write_bytes(whole[: len(whole) // 2])
    return bad
