"""Which folders are classes, which are splits, and which images are in neither."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from shards.errors import SourceError
from shards.paths import first_names
from shards.split_names import known_split, split_word

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path


class ClassImage(NamedTuple):
    """A file in the folder of a class; `split` is None if there are no split folders."""

    path: str
    name: str
    split: str | None


class ClassFolders(NamedTuple):
    """The images below a root.

    Attributes:
        images: those in class folders, in the order of the paths.
        outside: the paths of the others.
        splits: folder -> its split; empty if the class folders are directly in the root.
    """

    images: Sequence[ClassImage]
    outside: Sequence[str]
    splits: dict[str, str]

    @property
    def classes(self) -> list[str]:
        """The class names, sorted."""
        return sorted({image.name for image in self.images})


def find_classes(root: Path, images: Iterable[str]) -> ClassFolders:
    """Assign each image to the folder of its class, and of its split.

    The class is the first folder below the root; or the second one, if the first ones are named
    like splits and have subfolders with images.

    Args:
        root: for messages.
        images: paths relative to the root, sorted.

    Raises:
        SourceError: some folders are named like splits and others are not, or they are named
            nearly like splits (training_set/) and contain folders of the same names.
    """
    paths = [path.split("/") for path in images]
    deep, flat = Counter[str](), Counter[str]()
    for parts in paths:
        if len(parts) > 1:
            (deep if len(parts) > 2 else flat)[parts[0]] += 1
    splits = {
        folder: split
        for folder, count in deep.items()
        if (split := known_split(folder)) is not None and count > flat[folder]
    }
    if splits:
        _refuse_mixed(root, splits, {*deep, *flat})
    deepest = [parts for parts in paths if len(parts) > (3 if splits else 2)]
    if not splits or all(split_word(parts[1]) for parts in deepest):
        _refuse_likely_splits(root, deepest)
    found: list[ClassImage] = []
    outside: list[str] = []
    at = 1 if splits else 0
    for parts in paths:
        if len(parts) < at + 2:
            outside.append("/".join(parts))
        else:
            found.append(ClassImage("/".join(parts), parts[at], splits.get(parts[0])))
    return ClassFolders(found, outside, splits)


def _refuse_mixed(root: Path, splits: dict[str, str], folders: set[str]) -> None:
    if others := sorted(name for name in folders if known_split(name) is None):
        raise SourceError(
            f"{root}: {_named(sorted(splits))} named like splits, but {_named(others)} not. Move "
            "the others away, or rename the classes that are named like splits."
        )


def _refuse_likely_splits(root: Path, paths: Iterable[Sequence[str]]) -> None:
    """Refuse training_set/cat/ and test_set/cat/, where the sets are certainly not the classes.

    Archives often repeat the folder (training_set/training_set/cat/), also after a renaming.
    """
    meant: dict[str, dict[str, str]] = {}
    for parts in paths:
        if (split := split_word(parts[0])) is not None:
            meant.setdefault(parts[-2], {}).setdefault(split, "/".join(parts[:-1]))
    for name, folders in sorted(meant.items()):
        if len(folders) > 1:
            raise SourceError(
                f"{root}: {first_names([f'{folder}/' for folder in folders.values()])} look like "
                "one class in several splits, so the folders above are not classes. Move them to "
                f"{first_names([f'{split}/{name}/' for split in folders])}."
            )


def _named(folders: Sequence[str]) -> str:
    verb = "is" if len(folders) == 1 else "are"
    return f"{first_names([f'{name}/' for name in folders])} {verb}"
