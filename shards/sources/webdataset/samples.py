"""Lists the samples of tars: where the image of each is, and where its labels."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from shards.errors import DamageError, Fault, Reason, SourceError
from shards.index import group
from shards.paths import is_image, shown
from shards.sample import ImageRef, Rejection
from shards.sources.webdataset.values import KINDS
from shards.tar.walk import members

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from shards.index import Component
    from shards.sources.webdataset.tars import TarFile


class TarSample(NamedTuple):
    """One sample.

    Attributes:
        path: of its image: the tar, relative to the root, and the member.
        tar: number of its tar.
        offset: position of the image in the tar.
        size: bytes of the image.
        labels: extension -> position and bytes, of the members that may be labels.
    """

    path: str
    tar: int
    offset: int
    size: int
    labels: Mapping[str, tuple[int, int]]


class Listing:
    """The samples of all tars.

    Attributes:
        samples: those with one image, in order.
        rejected: those with none or several.
        extensions: number of members that may be labels, by extension.
        others: number of other members, by extension.
    """

    def __init__(self) -> None:
        self.samples: list[TarSample] = []
        self.rejected: list[Rejection] = []
        self.extensions: Counter[str] = Counter()
        self.others: Counter[str] = Counter()
        self._paths: set[str] = set()

    def add(self, file: Path, tar: TarFile, number: int) -> None:
        """Walk one tar.

        Raises:
            DamageError: it is damaged, or compressed.
            SourceError: two of its members have the same name.
        """
        for components in _groups(file):
            images = [one for one in components if is_image(one.name.rpartition("/")[2])]
            labels = [one for one in components if one.extension.rpartition(".")[2] in KINDS]
            self.extensions.update(one.extension for one in labels)
            rest = [one for one in components if one not in images and one not in labels]
            self.others.update(one.extension for one in rest)
            twice = Counter(one.name for one in labels)
            if double := next((name for name, number in twice.items() if number > 1), None):
                raise SourceError(f"{file}: two members {shown(double)}. Write it again.")
            chosen = _chosen(images)
            if chosen is None:
                self._reject(tar, components, images)
                continue
            path = f"{tar.path}/{chosen.name}"
            if path in self._paths:
                raise SourceError(f"{file}: two members {shown(chosen.name)}. Write it again.")
            self._paths.add(path)
            places = {one.extension: (one.offset, one.size) for one in labels}
            self.samples.append(TarSample(path, number, chosen.offset, chosen.size, places))

    def _reject(
        self, tar: TarFile, components: Sequence[Component], images: Sequence[Component]
    ) -> None:
        """Leave out a sample, unless it has neither image nor label."""
        there = ", ".join(shown(one.extension) for one in images or components)
        if images:
            fault = Fault(Reason.BAD_ANNOTATION, f"several images in one sample: {there}")
        else:
            fault = Fault(Reason.MISSING, f"a sample without an image (found: {there})")
        self.rejected.append(Rejection(f"{tar.path}/{components[0].name}", fault))


def _groups(file: Path) -> Iterator[tuple[Component, ...]]:
    """The samples of one tar.

    Raises:
        DamageError: as for `members`; names the folder too, as each split may have a 0.tar.
    """
    try:
        yield from group(members(file))
    except DamageError as error:
        raise type(error)(f"{file.parent}/{error}") from error


def _chosen(images: Sequence[Component]) -> Component | None:
    """The image of a sample: the only one, or the only one with a plain extension ('jpg')."""
    plain = [one for one in images if "." not in one.extension]
    for found in (images, plain):
        if len(found) == 1:
            return found[0]
    return None


class TarStore:
    """The images of the samples, which stay in their tars; an `ImageStore`."""

    def __init__(self, files: Sequence[Path], samples: Sequence[TarSample]) -> None:
        self._files = [str(file) for file in files]
        self._changed = [file.stat().st_mtime_ns for file in files]
        self._samples = {sample.path: sample for sample in samples}

    def ref(self, path: str) -> ImageRef:
        """Locate an image."""
        one = self._samples[path]
        return ImageRef(path, self._files[one.tar], one.offset, one.size)

    def position(self, path: str) -> tuple[int, int]:
        """The number of its tar, and its position there."""
        one = self._samples[path]
        return one.tar, one.offset

    def stamp(self, path: str) -> tuple[int, int]:
        """Its size in bytes, and the modification time of its tar in ns."""
        one = self._samples[path]
        return one.size, self._changed[one.tar]
