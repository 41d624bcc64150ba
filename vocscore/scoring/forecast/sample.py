"""Images that stand for all images of a source, spread over the whole listing.

Sizes differ from folder to folder, so the first images of a listing say little about the rest.
Short stretches of neighbors are taken in an order of which every beginning is spread evenly. No
image comes twice before all have come once, so that most are read for the first time, as in a run.
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import count, islice
from math import gcd
from typing import TYPE_CHECKING, Final, TypeAlias

from vocscore.errors import ScoreError
from vocscore.scoring.forecast.storage import Reads, Storage
from vocscore.scoring.inputs.units import Contents, FileUnit, LooseFiles

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from shards.sample import ImageRef
    from vocscore.scoring.inputs.units import Inputs, Unit

NEIGHBORS: Final = 8
"""Images of a stretch: read-ahead of a disk helps them as in a run."""
_GOLDEN: Final = (5**0.5 - 1) / 2
TARS: Final = 16
"""Tars that are listed at most."""


def spread(total: int, *, size: int = NEIGHBORS) -> Iterator[range]:
    """Yield stretches of 0 to `total` for ever; each pass has every number once.

    Args:
        total: at least 1.
        size: numbers of a stretch.
    """
    stretches = -(-total // size)
    step = max(1, round(stretches * _GOLDEN))
    while gcd(step, stretches) > 1:
        step += 1
    for turn in count():
        start = turn * step % stretches * size
        yield range(start, min(start + size, total))


class FilesSample:
    """Loose files.

    Args:
        inputs: with at least one file.

    Attributes:
        images: number of images of the source; estimated where only reading would tell.
        counted: whether that number is exact.
        bytes: size of all inputs; None if it is not known without looking at each.
        tars: number of tars of the source; None if units are files.
        fetched: how fast tars were fetched from object storage; None if they were not.
    """

    counted = True
    bytes: int | None = None
    tars: int | None = None
    fetched: Storage | None = None

    def __init__(self, inputs: LooseFiles) -> None:
        self._inputs = inputs
        self._order = spread(len(inputs.names))
        self.images = len(inputs.names)

    def refs(self) -> Iterator[ImageRef]:
        """Yield images for ever."""
        for number in count():
            yield from self._unit(number, NEIGHBORS).read().images

    def units_of(self, sizes: Iterator[int]) -> Iterator[Unit]:
        """Yield units of files, with the stamps of a real run."""
        for number, size in enumerate(sizes):
            yield self._unit(number, size)

    def close(self) -> None:
        """Do nothing: nothing was fetched to the disk."""

    def _unit(self, number: int, size: int) -> FileUnit:
        names: list[str] = []
        while len(names) < size:
            at = next(self._order)
            names += self._inputs.names[at.start : at.stop]
        known = self._inputs.faults
        faults = {name: known[name] for name in names if name in known} if known else {}
        return FileUnit(number, self._inputs.root, names, faults, self._inputs.stamps)


@dataclass(frozen=True, slots=True)
class ListedUnit:
    """A unit whose images are listed already.

    Attributes:
        number: as for `Unit`.
        images: its images.
    """

    number: int
    images: Sequence[ImageRef]

    @property
    def weight(self) -> int:
        """Number of images."""
        return len(self.images)

    def read(self) -> Contents:
        """Return the images."""
        return Contents(self.images)


class TarsSample:
    """The images of some tars; the attributes are those of `FilesSample`. Close it.

    Tars on object storage are fetched to the disk, as a run does, and stay there until then.

    Args:
        inputs: with at least one tar.
        seconds: time for listing tars; they are listed at least until there is an image.
    """

    def __init__(self, inputs: Inputs, *, seconds: float) -> None:
        """List tars that are spread over the source.

        Raises:
            ScoreError: there is no image in them.
            StorageError: they cannot be fetched.
        """
        units, started = list(inputs.units(1)), time.monotonic()
        self._copies, self._remote = ExitStack(), False
        images: list[ImageRef] = []
        looked = weight = 0
        for at in islice(spread(len(units), size=1), min(TARS, len(units))):
            contents = units[at.start].read()
            images += () if contents.refusal else self._here(contents)
            weight += units[at.start].weight
            looked += 1
            if images and time.monotonic() > started + seconds:
                break
        took = time.monotonic() - started
        if not images:
            raise ScoreError(
                f"no image in {looked} of {len(units)} tars, which were looked at. Name a source "
                "that contains images."
            )
        self._images, self._order = images, spread(len(images))
        reads = Reads(1, len(images) / took, weight / took, took / looked)
        self.fetched = Storage(reads, reads, weight / len(images)) if self._remote else None
        whole = looked == len(units)
        self.counted = whole or inputs.images is not None
        estimated = len(images) if whole else round(len(images) * inputs.weight / max(weight, 1))
        self.images = inputs.images or estimated
        self.bytes = inputs.weight
        self.tars = len(units)

    def _here(self, contents: Contents) -> Sequence[ImageRef]:
        """Return the images of a tar, in its local copy if it was fetched."""
        copy = contents.copy
        if copy is None:
            return contents.images
        self._remote = True
        self._copies.callback(copy.remove)
        return [replace(ref, file=copy.file) for ref in contents.images]

    def close(self) -> None:
        """Remove the tars that were fetched."""
        self._copies.close()

    def refs(self) -> Iterator[ImageRef]:
        """Yield images for ever."""
        for at in self._order:
            yield from self._images[at.start : at.stop]

    def units_of(self, sizes: Iterator[int]) -> Iterator[Unit]:
        """Yield units of the images, not larger than a tar.

        The network computes full batches, the last one of each tar too, whose places are partly
        empty: 28% more work for tars of 100 images and batches of 32.
        """
        refs, tar = self.refs(), max(1, round(self.images / self.tars))
        for number, size in enumerate(sizes):
            yield ListedUnit(number, list(islice(refs, min(size, tar))))


Sample: TypeAlias = FilesSample | TarsSample


def sample_of(inputs: Inputs, *, seconds: float) -> Sample:
    """Make the sample of a source.

    Args:
        inputs: what to score.
        seconds: as for `TarsSample`.

    Raises:
        ScoreError: as for `TarsSample`.
    """
    if isinstance(inputs, LooseFiles):
        return FilesSample(inputs)
    return TarsSample(inputs, seconds=seconds)
