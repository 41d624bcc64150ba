"""Class folders as a source."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from shards.errors import SourceError
from shards.paths import first_names
from shards.sources.class_folders.layout import find_classes
from shards.sources.class_folders.read import read_class_folders
from shards.sources.source import Request, Source, Tree
from shards.split_names import known_split

if TYPE_CHECKING:
    from shards.sample import AnnotatedSet

_NEVER_CLASSES: Final = frozenset(
    {
        *("images", "image", "imgs", "img", "jpegimages", "jpegs", "photos", "pictures", "data"),
        *("annotations", "annotation", "labels", "label", "xmls", "xml", "imagesets", "masks"),
        *("segmentationclass", "segmentationobject", "gt", "groundtruth"),
    }
)
"""Names, in lower case, of folders of images of any class."""
_DIGITS: Final = re.compile(r"[-_]?\d+")


def _looks_like(tree: Tree) -> str | None:
    try:
        found = find_classes(tree.root, tree.images)
    except SourceError:
        return "folders named like splits"  # reading says what is wrong
    names = found.classes
    if len(names) < 2 or _NEVER_CLASSES & {name.lower() for name in names}:
        return None
    if all(known_split(_DIGITS.sub("", name)) for name in names):  # COCO's train2017/
        return None
    below = f" in {first_names([f'{name}/' for name in found.splits])}" if found.splits else ""
    return f"one folder per class{below}: {first_names([f'{name}/' for name in names])}"


def _read(tree: Tree, _request: Request) -> AnnotatedSet:
    return read_class_folders(tree)


SOURCE: Final = Source(name="folders", looks_like=_looks_like, read=_read, weak=True)
