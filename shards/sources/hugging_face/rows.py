"""Rows of labels, from any of the formats: values by column, each row with its location."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


@dataclass(frozen=True)
class Rows:
    """The rows of one file.

    Attributes:
        file: the file.
        columns: column -> its values, one per row, as Python values.
        where: the location of each row, such as 'line 3'.
        names: column -> the class names that its numbers stand for, if the file has them.
        text: whether all values are text, so that the kind of a column is that of its cells.
    """

    file: Path
    columns: Mapping[str, Sequence[Any]]
    where: Sequence[str]
    names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    text: bool = False

    def place(self, row: int) -> str:
        """The file and the location of a row, for messages."""
        return f"{self.file}, {self.where[row]}"
