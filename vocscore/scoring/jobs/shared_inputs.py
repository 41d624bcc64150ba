"""The part of the inputs that one of several processes scores."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from vocscore.scoring.inputs.globs import Globs
    from vocscore.scoring.inputs.units import Inputs, Unit
    from vocscore.scoring.jobs.share import Share


class SharedInputs:
    """Some units of `Inputs`, with their own numbers.

    Args:
        whole: all inputs.
        unit_size: files per unit.
        share: which units; None: all but those that are committed, from a random place on, so that
            processes that start together do not meet.
        committed: units that a process has committed.
    """

    def __init__(
        self, whole: Inputs, unit_size: int, *, share: Share | None, committed: Collection[int]
    ) -> None:
        """Add up the units of the share."""
        self._whole = whole
        self._unit_size = unit_size
        self._share = share
        self._committed = committed
        self.count = 0
        self.weight = 0
        for unit in whole.units(unit_size):
            self.count += 1
            self.weight += unit.weight if self._has(unit.number) else 0
        self._start = random.randrange(max(self.count, 1)) if share is None else 0  # noqa: S311

    @property
    def images(self) -> int | None:
        """Number of images of the share, if it is known without reading."""
        return self.weight if self._whole.images == self._whole.weight else None

    @property
    def skipped(self) -> Mapping[str, int]:
        """Of the whole source."""
        return self._whole.skipped

    @property
    def problems(self) -> Sequence[str]:
        """Of the whole source."""
        return self._whole.problems

    @property
    def globs(self) -> Globs:
        """Of the whole source."""
        return self._whole.globs

    def digest(self) -> str:
        """Of the whole source."""
        return self._whole.digest()

    def units(self, unit_size: int) -> Iterator[Unit]:
        """Yield the units of the share."""
        del unit_size  # that of the run
        for unit in self._whole.units(self._unit_size):
            if unit.number >= self._start and self._has(unit.number):
                yield unit
        for unit in self._whole.units(self._unit_size):
            if unit.number >= self._start:
                return
            if self._has(unit.number):
                yield unit

    def _has(self, number: int) -> bool:
        if self._share is None:
            return number not in self._committed
        return self._share.has(number)
