"""Writes columns, block by block."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

import numpy as np

from shards import atomic
from vocscore.columns.layout import ABOUT, MOST_REASONS, OTHER, About

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

_FILES: Final = (
    *("probabilities.f32", "decided.u1", "reason.u1", "paths.bin", "path_ends.i8"),
    *("details.bin", "detail_rows.i8", "detail_ends.i8"),
)
_BETWEEN: Final = ": "
"""Between the reason and the detail of an error."""


class ColumnsWriter:
    """Appends blocks of rows to the files of a folder.

    Args:
        folder: empty; it is filled, and complete after `finish`.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._open = ExitStack()
        self._files = {
            name: self._open.enter_context((folder / name).open("ab")) for name in _FILES
        }
        self.classes: tuple[str, ...] | None = None
        self._blocks: list[int] = []
        self._reasons = {"": 0}
        self._path_bytes = self._detail_bytes = 0
        self._has_decided = self._has_all = True

    @property
    def rows(self) -> int:
        """Number of rows written."""
        return sum(self._blocks)

    def append(
        self,
        paths: bytes,
        path_lengths: NDArray[np.int64],
        errors: dict[int, str],
        probabilities: NDArray[np.float32],
        decided: NDArray[np.bool_] | None,
    ) -> None:
        """Append a block of n rows.

        Args:
            paths: one after the other.
            path_lengths: int64 (n,), bytes.
            errors: row of the block -> 'reason: detail' or 'reason'.
            probabilities: float32 (n, C); nan where there is none.
            decided: bool (n, C), the labels; None if some row has none.
        """
        n = len(path_lengths)
        if not n:
            return
        failed = np.zeros(n, np.bool_)
        failed[list(errors)] = True
        self._has_decided &= decided is not None
        self._has_all &= not np.isnan(probabilities[~failed]).any()
        labels = np.zeros_like(probabilities, np.bool_) if decided is None else decided
        self._write("probabilities.f32", probabilities.T)
        self._write("decided.u1", labels.T)
        self._write("reason.u1", self._errors(n, errors))
        self._files["paths.bin"].write(paths)
        self._write("path_ends.i8", self._path_bytes + np.cumsum(path_lengths))
        self._path_bytes += len(paths)
        self._blocks.append(n)

    def _errors(self, n: int, errors: dict[int, str]) -> NDArray[np.uint8]:
        """Write the details of a block's errors, and return the reasons of all its rows."""
        reason = np.zeros(n, np.uint8)
        rows, ends = [], []
        for row, error in sorted(errors.items()):
            name, _, detail = error.partition(_BETWEEN)
            reason[row] = self._number(name)
            text = detail.encode("utf-8", "surrogatepass")
            self._files["details.bin"].write(text)
            self._detail_bytes += len(text)
            rows.append(self.rows + row)
            ends.append(self._detail_bytes)
        self._write("detail_rows.i8", np.array(rows, np.int64))
        self._write("detail_ends.i8", np.array(ends, np.int64))
        return reason

    def _number(self, reason: str) -> int:
        """The number of a reason."""
        reason = reason or OTHER
        if reason not in self._reasons and len(self._reasons) >= MOST_REASONS:
            reason = OTHER
        return self._reasons.setdefault(reason, len(self._reasons))

    def _write(self, name: str, values: NDArray[np.generic]) -> None:
        self._files[name].write(np.ascontiguousarray(values).tobytes())

    def about(self, key: str, notes: Sequence[str] = ()) -> About:
        """Describe the rows so far, which are readable from then on."""
        for file in self._files.values():
            file.flush()
        return About(
            key=key,
            classes=self.classes or (),
            blocks=tuple(self._blocks),
            reasons=tuple(self._reasons),
            has_decided=self._has_decided,
            has_all=self._has_all,
            notes=tuple(notes),
        )

    def finish(self, key: str, notes: Sequence[str]) -> About:
        """Write `about.json`, which makes the folder complete."""
        about = self.about(key, notes)
        self.close()
        atomic.write(self._folder / ABOUT, about.to_bytes())
        return about

    def close(self) -> None:
        """Close the files."""
        self._open.close()
