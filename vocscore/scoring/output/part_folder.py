"""An output that is a folder of parts: what may stand there before, and how it appears as a whole.

The parts are committed in a folder that lies in the work folder and holds nothing else. When all
are there, that folder is renamed to the output: a folder under the output's name is complete.
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
_OURS = re.compile(r"\.?part-\d{6,}\.[a-z]+(\.tmp)?")


def refuse_existing_folder(output: Path, *, overwrite: bool) -> None:
    """Raise where something is in the way that must not be replaced; an empty folder is not.

    Raises:
        ScoreError: a file, a folder with parts that is not to be overwritten, or a folder with
            anything else, which is never replaced.
    """
    if not output.exists():
        return
    if not output.is_dir():
        raise ScoreError(f"{output}: a file, and --format makes a folder. Choose another -o.")
    names = sorted(path.name for path in output.iterdir())
    strangers = [name for name in names if not _PART.fullmatch(name)]
    if strangers:
        raise ScoreError(
            f"{output}: holds {shown(strangers[0])}, which is no part of predictions, so it is not "
            "replaced. Move that away, or choose another folder with -o."
        )
    if names and not overwrite:
        raise ScoreError(
            f"{output}: there already. Use --overwrite to replace it, or choose another folder "
            "with -o."
        )


def place(parts: Path, output: Path, *, replaced: Path) -> None:
    """Let the folder of parts appear as the output; done again after a crash, it goes on.

    Args:
        parts: all committed; gone when it was placed before.
        output: an empty folder there is replaced.
        replaced: where a folder of older parts is put first.

    Raises:
        OSError: the disk will not have it.
    """
    if not parts.exists():
        return
    atomic.sync_folder(parts)
    if output.is_dir() and any(output.iterdir()):
        output.rename(replaced)
    atomic.move(parts, output)


def remove(folder: Path) -> None:
    """Remove a folder of parts with what a killed run left in it; a stranger's file stays.

    Raises:
        OSError: something could not be removed, or a stranger's file is in it.
    """
    if folder.is_dir():
        for path in folder.iterdir():
            if _OURS.fullmatch(path.name):
                path.unlink()
        folder.rmdir()
