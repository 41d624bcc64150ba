"""What a source yields: names and labels, no pixels, so that sources are tested with strings."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from shards.paths import shown

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from shards.errors import Fault


@dataclass(frozen=True, slots=True)
class Sample:
    """One annotated image, before its bytes are read.

    Attributes:
        path: where the image lies, relative to the set's root, with '/' between folders.
        present: classes with at least one ordinary instance, sorted, each once.
        difficult: classes with only 'difficult' instances, sorted, each once; disjoint from
            `present`.
    """

    path: str
    present: tuple[str, ...]
    difficult: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """A class is either present or only difficult."""
        if self.difficult and (both := set(self.present) & set(self.difficult)):
            raise ValueError(f"{self.path}: {sorted(both)} both present and only difficult")


@dataclass(frozen=True, slots=True)
class Rejection:
    """One image left out; a row of `rejected.csv`.

    Attributes:
        path: of the image.
        fault: why.
    """

    path: str
    fault: Fault


@dataclass(frozen=True)
class AnnotatedSet:
    """A folder of images with labels, whatever its layout: what every source returns.

    Attributes:
        root: the folder that sample paths are relative to.
        samples: sorted by path (code points), each path once.
        splits: split name -> the paths in it, where the layout has lists of its own; empty
            elsewhere. Paths of images that `rejected` names are left out.
        rejected: images that cannot be samples (no image, no or broken annotation).
        classes: the vocabulary that the layout itself declares, in its order (a table's columns,
            COCO's categories), with or without an image; None where it declares none.
        notes: one line for a person on each thing that was left aside or read in a special way
            (ignored columns, repeated ids, lists under another name).
        places: class name -> where it first stands in the source ('Annotations/a.xml, line 7'),
            for messages; a name that is not in it is looked for by `place`.
        vocabulary: the classes that sets of this layout usually have, in column order; they are
            the columns where every name found is one of them. None where there are none such.
    """

    root: Path
    samples: tuple[Sample, ...]
    splits: Mapping[str, frozenset[str]] = field(default_factory=dict)
    rejected: tuple[Rejection, ...] = ()
    classes: tuple[str, ...] | None = None
    notes: tuple[str, ...] = ()
    places: Mapping[str, str] = field(default_factory=dict)
    vocabulary: tuple[str, ...] | None = None

    def names(self) -> set[str]:
        """Every class name that occurs, ordinary or difficult."""
        return {name for s in self.samples for name in (*s.present, *s.difficult)}

    def place(self, name: str) -> str:
        """Where a class first stands: as the source told, else the path of its first sample."""
        if name in self.places:
            return self.places[name]
        first = next((s.path for s in self.samples if name in (*s.present, *s.difficult)), None)
        return str(self.root) if first is None else shown(first)


@dataclass(frozen=True, slots=True)
class ImageRef:
    """Where the bytes of one image lie: a loose file, a stretch of a tar, or memory.

    Attributes:
        name: what the user knows the image by, and what stands in the predictions.
        file: the file to open.
        offset: the first byte in it.
        size: how many bytes; -1 for the whole file.
        fault: why there is nothing to read, where that is known without looking; then `file` need
            not be there.
        data: the whole file, where it is in memory; then `file` is not opened.
        pixels: uint8, shape (H, W, 3), upright RGB, C-contiguous, where it is decoded already;
            then there is nothing to read.
    """

    name: str
    file: str
    offset: int = 0
    size: int = -1
    fault: Fault | None = None
    data: bytes | None = field(default=None, repr=False)
    pixels: NDArray[np.uint8] | None = field(default=None, repr=False, compare=False)
