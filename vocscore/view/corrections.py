"""The corrections that a person makes on the page: each is written at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shards.corrections import DROP, KEEP, Corrections, add_correction, read_corrections
from shards.errors import LabelError

if TYPE_CHECKING:
    from pathlib import Path


class CorrectionsFile:
    """A file of corrections, and what has been written to it.

    Attributes:
        file: beside the predictions; it may not exist yet.
        problem: why it cannot be used; '' if it can.
    """

    def __init__(self, file: Path) -> None:
        """Read what is there already.

        Args:
            file: of corrections.
        """
        self.file = file
        self.problem = ""
        self._values: dict[str, dict[str, int]] = {}
        self._dropped: set[str] = set()
        found = Corrections()
        if file.exists():
            try:
                found = read_corrections(file)
            except LabelError as error:
                self.problem = f"{error} Move it away to correct labels here."
        self._values.update({path: dict(of) for path, of in found.values.items()})
        self._dropped.update(found.dropped)

    @property
    def count(self) -> int:
        """Number of labels corrected and images dropped."""
        return sum(map(len, self._values.values())) + len(self._dropped)

    def value(self, path: str, name: str) -> int | None:
        """The corrected value of a label; None if it is not corrected."""
        return self._values.get(path, {}).get(name)

    def is_dropped(self, path: str) -> bool:
        """Whether an image is left out."""
        return path in self._dropped

    def correct(self, path: str, name: str, value: int) -> bool:
        """Write the value of a label; whether it could be written."""
        if not self._write(path, name, str(value)):
            return False
        self._values.setdefault(path, {})[name] = value
        return True

    def drop(self, path: str, *, dropped: bool) -> bool:
        """Leave an image out, or take that back; whether it could be written."""
        if not self._write(path, "", DROP if dropped else KEEP):
            return False
        (self._dropped.add if dropped else self._dropped.discard)(path)
        return True

    def _write(self, path: str, name: str, value: str) -> bool:
        if self.problem:
            return False
        try:
            add_correction(self.file, path, name, value)
        except OSError as error:
            self.problem = f"{self.file}: cannot be written: {str(error.strerror).lower()}."
            return False
        return True
