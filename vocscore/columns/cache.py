"""Where columns are kept: one folder per predictions in the user's cache."""

from __future__ import annotations

import atexit
import hashlib
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from vocscore import caches
from vocscore.columns.layout import ABOUT, VERSION

if TYPE_CHECKING:
    from collections.abc import Iterable

_MOST_KEPT: Final = 16
"""Columns of the predictions used last are kept; 1,000,000 rows of 20 classes are 150 MB."""


def key_of(files: Iterable[Path]) -> str:
    """The state of some files: a hash of their names, sizes and times of modification.

    Raises:
        OSError: a file cannot be found.
    """
    digest = hashlib.sha256(f"{VERSION}".encode())
    for file in files:
        state = file.stat()
        said = f"{file.name}\0{state.st_size}\0{state.st_mtime_ns}\0{state.st_ino}\0"
        digest.update(said.encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def place_of(source: Path) -> Path:
    """The folder for the columns of some predictions; it may not exist yet.

    It is in the user's cache; if that cannot be written, in a temporary folder of this process.
    """
    name = hashlib.sha256(os.fsencode(source.resolve())).hexdigest()[:32]
    base = caches.folder()
    if base is not None:
        with suppress(OSError):
            (base / "columns").mkdir(parents=True, exist_ok=True)
            if os.access(base / "columns", os.W_OK | os.X_OK):
                return base / "columns" / name
    return temporary() / name


def temporary() -> Path:
    """A new folder that is removed when this process ends."""
    made = tempfile.mkdtemp(prefix="vocscore-columns-")
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    return Path(made)


def working_folder(place: Path) -> Path:
    """A new folder beside the final one, to be filled and then put in its place."""
    return Path(tempfile.mkdtemp(prefix=f".{place.name}-", dir=place.parent))


def put(working: Path, place: Path) -> Path:
    """Move a complete folder to its place, and return where it is.

    Files that another process has mapped stay readable for it. If two processes build the same
    columns, one of them wins; the other uses its own.
    """
    old = working.with_name(f"{working.name}-old")
    with suppress(OSError):
        place.rename(old)
    try:
        working.rename(place)
    except OSError:
        atexit.register(shutil.rmtree, working, ignore_errors=True)
        return working
    finally:
        shutil.rmtree(old, ignore_errors=True)
    return place


def remove_old(kept: Path) -> None:
    """Remove the columns that were used longest ago, except a few."""
    with suppress(OSError):
        os.utime(kept / ABOUT)
    found = []
    for folder in kept.parent.iterdir():
        with suppress(OSError):
            found.append(((folder / ABOUT).stat().st_mtime, folder))
    for _, folder in sorted(found, reverse=True)[_MOST_KEPT:]:
        shutil.rmtree(folder, ignore_errors=True)
