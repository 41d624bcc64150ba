"""What a source yields: names and labels without pixels, so sources are testable with strings."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from shards.paths import shown

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from shards.errors import Fault
    from shards.raw_images import RawForm


@dataclass(frozen=True, slots=True)
class Sample:
    """One annotated image, before its bytes are read.

    Attributes:
        path: path of the image, relative to the set's root, with '/' between folders.
        present: classes with at least one ordinary instance, sorted, each once.
        difficult: classes with only 'difficult' instances, sorted, each once; disjoint from
            `present`.
    """

    path: str
    present: tuple[str, ...]
    difficult: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check that no class is both present and only difficult."""
        if self.difficult and (both := set(self.present) & set(self.difficult)):
            raise ValueError(f"{self.path}: {sorted(both)} both present and only difficult")


@dataclass(frozen=True, slots=True)
class Rejection:
    """An image left out and the reason; a row of `rejected.csv`."""

    path: str
    fault: Fault


@dataclass(frozen=True)
class AnnotatedSet:
    """A folder of images with labels, in any layout: what every source returns.

    Attributes:
        root: the folder that sample paths are relative to.
        samples: sorted by path (code points), each path once.
        splits: split name -> its paths, if the layout defines splits; else empty. Rejected
            images are not included.
        rejected: images that cannot be samples (missing image, missing or bad annotation).
        classes: the vocabulary that the layout itself declares, in its order (a table's columns,
            COCO's categories), with or without images; None if it declares none.
        notes: one line for the user per item that was ignored or read in a special way
            (ignored columns, repeated ids, lists under another name).
        places: class name -> its first occurrence in the source ('Annotations/a.xml, line 7'),
            for messages; `place` searches for names that are not in it.
        vocabulary: the classes that sets of this layout usually have, in column order; they
            become the columns if they include every name found. None if the layout has none.
        store: where the images are, if they are not files below `root`; else None.
        layout: the source that the set was read as, and why, for the user; '' if not recorded.
    """

    root: Path
    samples: tuple[Sample, ...]
    splits: Mapping[str, frozenset[str]] = field(default_factory=dict)
    rejected: tuple[Rejection, ...] = ()
    classes: tuple[str, ...] | None = None
    notes: tuple[str, ...] = ()
    places: Mapping[str, str] = field(default_factory=dict)
    vocabulary: tuple[str, ...] | None = None
    store: ImageStore | None = None
    layout: str = ""

    def names(self) -> set[str]:
        """Every class name that occurs, ordinary or difficult."""
        return {name for s in self.samples for name in (*s.present, *s.difficult)}

    def place(self, name: str) -> str:
        """First occurrence of a class: as the source reported, else the path of a sample."""
        if name in self.places:
            return self.places[name]
        first = next((s.path for s in self.samples if name in (*s.present, *s.difficult)), None)
        return str(self.root) if first is None else shown(first)


@dataclass(frozen=True, slots=True)
class ImageRef:
    """Location of one image's bytes: a whole file, or a range in a tar.

    Attributes:
        name: the name by which the user knows the image, written to the predictions.
        file: the file to open.
        offset: position of the first byte.
        size: bytes; -1 for the whole file.
        fault: why there is nothing to read, if that is known in advance; then `file` need not
            exist.
        raw: the form of a raw image; None: the bytes are an image file.
        sha256: hash that the bytes must have, hexadecimal, if they were packed with verification;
            None: there is nothing to compare them with.
    """

    name: str
    file: str
    offset: int = 0
    size: int = -1
    fault: Fault | None = None
    data: bytes | None = field(default=None, repr=False)
    pixels: NDArray[np.uint8] | None = field(default=None, repr=False, compare=False)
    raw: RawForm | None = None
    sha256: str | None = field(default=None, repr=False)


class ImageStore(Protocol):
    """Images inside of other files, such as tars or Parquet; used from several threads."""

    def ref(self, path: str) -> ImageRef:
        """Locate an image by its `Sample.path`, and read its bytes if only the store can.

        A fault of the image is part of the reference; nothing is raised for it.
        """

    def position(self, path: str) -> tuple[int, int]:
        """The place of an image among those of the store; images are packed in this order."""

    def stamp(self, path: str) -> tuple[int, int]:
        """Size of the image in bytes, -1 if unknown, and modification time of its file in ns."""
