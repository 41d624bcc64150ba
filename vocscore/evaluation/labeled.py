"""The labeled images that predictions are compared with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from shards.reader import load_split

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

NO_ROW = -1
"""The row of a labeled image that is not in the predictions."""


@dataclass(frozen=True, slots=True, eq=False)
class Labeled:
    """The images of some splits.

    Attributes:
        splits: their names.
        names: original paths, without duplicates.
        sha256: of each image's bytes as packed, hexadecimal.
        labels: int8, shape (len(names), C).
        belongs: int64, shape (len(names),): index in `splits` of each image's split.
    """

    splits: tuple[str, ...]
    names: tuple[str, ...]
    sha256: tuple[str, ...]
    labels: NDArray[np.int8]
    belongs: NDArray[np.int64]

    def only(self, images: NDArray[np.bool_]) -> Labeled:
        """Select the images of a mask, shape (len(names),); empty splits are dropped."""
        kept = np.flatnonzero(images)
        used, belongs = np.unique(self.belongs[kept], return_inverse=True)
        return Labeled(
            splits=tuple(self.splits[split] for split in used),
            names=tuple(self.names[i] for i in kept),
            sha256=tuple(self.sha256[i] for i in kept),
            labels=self.labels[kept],
            belongs=belongs.astype(np.int64),
        )

    def in_splits(self, splits: Sequence[str]) -> NDArray[np.bool_]:
        """Which images are in one of these splits; shape (len(names),)."""
        places = [place for place, name in enumerate(self.splits) if name in splits]
        return np.isin(self.belongs, places)

    def in_scored_splits(self, row: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which images are in a split with at least one scored image.

        Args:
            row: int64, shape (len(names),): the row of each image, or `NO_ROW`.
        """
        return np.isin(self.belongs, np.unique(self.belongs[row != NO_ROW]))

    def counts(self, images: NDArray[np.bool_]) -> dict[str, int]:
        """Count the images of a mask per split."""
        numbers = np.bincount(self.belongs[images], minlength=len(self.splits)).tolist()
        found = dict.fromkeys(self.splits, 0)
        for name, number in zip(self.splits, numbers, strict=True):
            found[name] += number
        return found


def load_labeled(shards: Path, splits: Sequence[str]) -> Labeled:
    """Load the labels of some splits; an image in several counts once, in the first.

    Raises:
        Error: the shards cannot be read, or have no such split.
    """
    parts = [load_split(shards, split) for split in splits]
    names = [image.name for part in parts for image in part.images]
    hashes = [sha256 for part in parts for sha256 in part.sha256]
    places = {name: place for place, name in reversed(list(enumerate(names)))}
    first = sorted(places.values())
    return Labeled(
        splits=tuple(splits),
        names=tuple(names[place] for place in first),
        sha256=tuple(hashes[place] for place in first),
        labels=np.concatenate([part.labels for part in parts])[first],
        belongs=np.repeat(np.arange(len(parts)), [len(part.images) for part in parts])[first],
    )
