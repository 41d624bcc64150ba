"""The folder of an unfinished output: in a module that imports nothing, for the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def work_folder(output: Path) -> Path:
    """Return the folder beside an unfinished output."""
    return output.with_name(f"{output.name}.parts")
