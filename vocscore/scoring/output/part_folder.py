"""An output that is a folder of parts: what it may replace, and how it is placed atomically.

The parts are committed in a subfolder of the work folder that contains nothing else. When all are
committed, it is renamed to the output, so a folder with the output's name is complete.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from shards import atomic
from shards.paths import shown
from vocscore.errors import ScoreError

if TYPE_CHECKING:
    from pathlib import Path

_PART = re.compile(r"part-\d{6,}\.[a-z]+")


def refuse_existing_folder(output: Path, *, overwrite: bool) -> None:
    """Raise if something exists that must not be replaced; an empty folder may be.

    Raises:
        ScoreError: it is a file, a folder of parts and `overwrite` is not set, or a folder with
            other files, which is never replaced.
    """
    if not output.exists():
        return
    if not output.is_dir():
        raise ScoreError(
            f"{output}: a file, but `format` writes a folder. Choose another `output`."
        )
    names = sorted(path.name for path in output.iterdir())
    others = [name for name in names if not _PART.fullmatch(name)]
    if others:
        raise ScoreError(
            f"{output}: contains {shown(others[0])}, which is not a part of predictions, so it is "
            "not replaced. Move that away, or choose another folder with `output`."
        )
    if names and not overwrite:
        raise ScoreError(
            f"{output}: already exists. Use `overwrite=True` to replace it, or choose another "
            "folder with `output`."
        )


def place(parts: Path, output: Path, *, replaced: Path) -> None:
    """Rename the folder of parts to the output; can be repeated after a crash.

    Args:
        parts: all committed parts; missing if it was placed before.
        output: destination; an empty folder there is replaced.
        replaced: destination of an older output, which is moved first.

    Raises:
        OSError: it cannot be moved.
    """
    if not parts.exists():
        return
    atomic.sync_folder(parts)
    if output.is_dir() and any(output.iterdir()):
        output.rename(replaced)
    atomic.move(parts, output)


def remove(folder: Path) -> None:
    """Remove a folder of parts and the temporary files of a killed run; other files stay.

    Raises:
        OSError: something could not be removed, or the folder has another file.
    """
    if folder.is_dir():
        for path in folder.iterdir():
            if _PART.fullmatch(atomic.final_name(path.name)):
                path.unlink()
        folder.rmdir()
