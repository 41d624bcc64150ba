"""The names beside an output: in a module that imports little, for the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vocscore.errors import ScoreError

if TYPE_CHECKING:
    from pathlib import Path


def work_folder(output: Path) -> Path:
    """Return the folder beside an unfinished output."""
    return output.with_name(f"{output.name}.parts")


def named(path: Path) -> Path:
    """Return a path that has a name, after which files beside it are called; '.' has none.

    Raises:
        ScoreError: it is the root of all folders.
    """
    if path.name:
        return path
    whole = path.absolute()
    if not whole.name:
        raise ScoreError(f"{path}: not the place of predictions. Name a file or a folder in it.")
    return whole
