"""The interface of every export format."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray


Run: TypeAlias = "Callable[[NDArray[np.uint8]], NDArray[np.float32]]"
"""Pixels, uint8 (N, S, S, 3) -> probabilities, float32 (N, C)."""


@dataclass(frozen=True)
class Format:
    """How to write and run one kind of file.

    Attributes:
        name: for people.
        suffixes: of its files; the first is that of the file that users name.
        require: raises ExportError if the format cannot be written here.
        write: (model, file, facts) -> the files.
        runner: opens a file and returns a function that runs it.
    """

    name: str
    suffixes: tuple[str, ...]
    require: Callable[[], None]
    write: Callable[[Any, Path, Mapping[str, Any]], None]
    runner: Callable[[Path], Run]

    def files(self, file: Path) -> list[Path]:
        """All files of an export, the one that users name first."""
        return [*(file.with_suffix(suffix) for suffix in self.suffixes), description(file)]


def description(file: Path) -> Path:
    """The JSON description of a file: beside it, with '.json' added to its name."""
    return file.with_name(f"{file.name}.json")
