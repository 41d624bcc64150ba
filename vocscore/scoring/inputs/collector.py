"""Collects names of any number: a few in memory, many in a temporary file, sorted."""

from __future__ import annotations

import os
import tempfile
from bisect import bisect_right
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, BinaryIO, Final, cast

from vocscore.errors import ScoreError
from vocscore.scoring.inputs.frozen import NameWriter, split_names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

NAMES_IN_MEMORY: Final = 200_000
"""So many names are kept as a list, about 25 MB; more go to a temporary file."""
NAMES_BETWEEN_CALLS: Final = 4096
"""So often is the number of names in memory looked at."""
_MERGED_BYTES: Final = 1 << 20
"""Read from all runs together at a time."""
_LEAST_PIECE: Final = 1 << 14


class Collector:
    """Collects names: append them to `recent` and call `relieve` every `NAMES_BETWEEN_CALLS`.

    Names that arrive sorted are written once; others in sorted runs, which are merged. The
    temporary file has no name, so it is gone when the process ends in any way.

    Args:
        ordered: keep the order of arrival instead of sorting by code points.
        limit: number of names kept in memory; None: `NAMES_IN_MEMORY`.

    Attributes:
        recent: the names in memory; changed in place.
    """

    def __init__(self, *, ordered: bool = False, limit: int | None = None) -> None:
        self.recent: list[str] = []
        self._ordered = ordered
        self._limit = limit or NAMES_IN_MEMORY
        self._written: NameWriter | None = None
        self._file: BinaryIO | None = None
        self._starts: list[int] = []  # offsets of the sorted runs
        self._last = ""

    def __len__(self) -> int:
        """Return the number of names so far."""
        return len(self.recent) + (self._written.index.count if self._written else 0)

    def relieve(self) -> None:
        """Write the names in memory to the temporary file, if they are many.

        Raises:
            ScoreError: the file system of the temporary file is full.
        """
        if len(self.recent) >= self._limit:
            with _explained():
                self._spill()

    def names(self) -> Sequence[str]:
        """Return all names: a list, or if they are many, a view of the temporary file.

        Raises:
            ScoreError: the file system of the temporary file is full.
        """
        if self._written is None:
            if not self._ordered:
                self.recent.sort()
            return self.recent
        with _explained():
            self._spill()
            if len(self._starts) < 2:
                return self._written.frozen()
            writer = NameWriter(_temporary_file())
            assert self._file is not None, "opened when the first run was written"
            self._file.flush()
            for names in _merged(self._file, [*self._starts, self._written.index.bytes]):
                writer.extend(names)
            self._file.close()
            return writer.frozen()

    def _spill(self) -> None:
        if self._written is None:
            self._file = _temporary_file()
            self._written = NameWriter(self._file)
        if not self.recent:
            return
        if not self._ordered:
            self.recent.sort()
            if not self._starts or self.recent[0] < self._last:
                self._starts.append(self._written.index.bytes)
            self._last = self.recent[-1]
        self._written.extend(self.recent)
        self.recent.clear()


def kept(names: Sequence[str], keeps: Callable[[str], bool]) -> Sequence[str]:
    """Return those names that are kept, in order; a list if `names` is one."""
    if isinstance(names, list):
        return [name for name in names if keeps(name)]
    collector = Collector(ordered=True)
    for number, name in enumerate(names):
        if keeps(name):
            collector.recent.append(name)
        if number % NAMES_BETWEEN_CALLS == 0:
            collector.relieve()
    return collector.names()


@dataclass
class _Run:
    """A sorted run in the temporary file.

    Attributes:
        file: the file.
        at: offset of what is not read yet.
        stop: offset of its end.
        names: those read last.
        begin: how many of them are merged already.
        rest: bytes read of the name after them.
    """

    file: BinaryIO
    at: int
    stop: int
    names: list[str] = field(default_factory=list)
    begin: int = 0
    rest: bytes = b""

    def fill(self, piece_bytes: int) -> bool:
        """Read on if no name is left; return whether there is any."""
        while self.begin == len(self.names) and self.at < self.stop:
            wanted = min(piece_bytes, self.stop - self.at)
            data = self.rest + os.pread(self.file.fileno(), wanted, self.at)
            self.at += len(data) - len(self.rest)
            cut = data.rfind(b"\0") + 1
            self.names, self.begin, self.rest = split_names(data[:cut]), 0, data[cut:]
        return self.begin < len(self.names)

    def take(self, last: str) -> list[str]:
        """Remove and return the names up to `last`."""
        begin, self.begin = self.begin, bisect_right(self.names, last, self.begin)
        return self.names[begin : self.begin]


def _merged(file: BinaryIO, borders: Sequence[int]) -> Iterator[list[str]]:
    """Merge sorted runs: what is read of each, up to the least of their last names, is complete."""
    runs = [_Run(file, *pair) for pair in pairwise(borders)]
    piece_bytes = max(_MERGED_BYTES // len(runs), _LEAST_PIECE)
    while runs := [run for run in runs if run.fill(piece_bytes)]:
        last = min(run.names[-1] for run in runs)
        names: list[str] = []
        for run in runs:
            names += run.take(last)
        names.sort()  # joined runs, which this recognizes and merges
        yield names


def _temporary_file() -> BinaryIO:
    return cast("BinaryIO", tempfile.TemporaryFile(buffering=_LEAST_PIECE))


@contextmanager
def _explained() -> Iterator[None]:
    """Tell what an error of the temporary file means."""
    try:
        yield
    except OSError as error:
        raise ScoreError(
            f"the listing of so many inputs needs a temporary file: {error.strerror} in "
            f"{tempfile.gettempdir()}. Make room, or set TMPDIR to another folder."
        ) from error
