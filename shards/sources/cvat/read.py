"""Reads the labels of images from an export 'CVAT for images 1.1'."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shards.errors import SourceError
from shards.paths import first_names, shown
from shards.sources.cvat.file import read_annotations
from shards.sources.finder import Finder
from shards.sources.gathered import Gathered
from shards.sources.words import counted
from shards.split_names import known_split

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from shards.sample import AnnotatedSet
    from shards.sources.cvat.file import CvatFile, CvatImage

_IMAGES = "images"
"""Where CVAT writes images in its exports, in projects with a folder per subset."""


def read_cvat(root: Path, file: Path) -> AnnotatedSet:
    """Read an export. A label is present with at least one tag or shape of it.

    An image without any is a sample without labels. Attributes are not read.

    Args:
        root: the folder of the images, or the unpacked export with its images/.
        file: annotations.xml, read into memory whole.

    Returns:
        The set; `classes` are the labels that the file declares, in order, or None; `splits` are
        those of subsets called train, validation or test. A missing image is rejected (MISSING).

    Raises:
        SourceError: as for `read_annotations`; a label that is not declared; one file for images
            of two subsets; no image is found.
    """
    content = read_annotations(file)
    if not content.images:
        raise SourceError(f"{file}: no <image> in it. Export the task as 'CVAT for images 1.1'.")
    finder, gathered = Finder(root, file), Gathered()
    declared = set(content.labels)
    first: dict[str, CvatImage] = {}
    for image in content.images:
        if declared and (odd := image.labels - declared):
            raise SourceError(
                f"{file}, line {image.line}: image {shown(image.name)} has the label "
                f"{min(odd)!r}, which <labels> does not declare. Export the task again."
            )
        path = finder.find(_place(image, finder), f"line {image.line}")
        other = first.setdefault(path, image)
        if other.subset != image.subset:
            raise SourceError(
                f"{file}, line {image.line}: image {shown(image.name)} of subset "
                f"{image.subset!r}, and that of subset {other.subset!r} (line {other.line}), both "
                f"match {shown(path)}. Put each in images/SUBSET/, as CVAT exports them."
            )
        gathered.add(path, image.labels, split=known_split(image.subset))
    notes = (f"{file.name}: {note}" for note in _notes(content, gathered))
    return gathered.annotated(root, finder, classes=content.labels or None, notes=notes)


def _place(image: CvatImage, finder: Finder) -> str:
    """The path of an image below the root: as written, or in a folder of CVAT's exports."""
    if ".." in image.name.split("/"):
        return image.name
    folders = [_IMAGES, *([f"{_IMAGES}/{image.subset}", image.subset] if image.subset else [])]
    names = (image.name, *(f"{folder}/{image.name}" for folder in folders[::-1]))
    return next(filter(finder.has, names), image.name)


def _notes(content: CvatFile, gathered: Gathered) -> Iterator[str]:
    """Lines on what was ignored or merged."""
    if content.attributes:
        total = counted(sum(content.attributes.values()), "attribute")
        yield f"{total} ignored: {first_names(sorted(content.attributes), most=20)}"
    unknown = {one.subset for one in content.images if one.subset and not known_split(one.subset)}
    if unknown:
        number = sum(one.subset in unknown for one in content.images)
        yield (
            f"{counted(number, 'image')} in subsets that are not splits: "
            f"{first_names(sorted(unknown))}"
        )
    if gathered.again:
        yield (
            f"{counted(len(gathered.again), 'image')} named several times, "
            f"{len(gathered.differing)} with different labels: merged"
        )
