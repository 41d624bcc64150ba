"""Reads a set with one folder per class."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shards.errors import Fault, Reason, SourceError
from shards.paths import first_names, is_image, shown
from shards.sample import AnnotatedSet, Rejection, Sample
from shards.sources.class_folders.copies import Copies, find_copies
from shards.sources.class_folders.layout import ClassFolders, find_classes
from shards.sources.folders import by_suffix, folders_in
from shards.sources.words import counted
from shards.split_names import SPLITS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from shards.sources.source import Tree


def read_class_folders(tree: Tree) -> AnnotatedSet:
    """Read a folder with a subfolder for each class, or with those below train/, val/ and test/.

    A file in several class folders of a split, by link or with the same name and bytes, is one
    image with several labels; its path is the first of them. Images with equal bytes and
    different names, or in different splits, stay separate, and a note counts them.

    Args:
        tree: the folder.

    Returns:
        The set; `splits` are the split folders. Rejected: an image in no class folder
        (NOT_ANNOTATED), a link to nothing (MISSING).

    Raises:
        SourceError: there is no image in a class folder, a folder cannot be listed, or only some
            folders are named like splits.
    """
    tree.all_files()
    found = find_classes(tree.root, tree.images)
    if not found.images:
        raise SourceError(
            f"{tree.root}: no image is in a folder of its class. Make a folder per class, such as "
            "cat/ and dog/, or give the labels: `labels='FILE.csv'`."
        )
    copies = find_copies(tree.root, found.images)
    samples = [
        Sample(group[0].path, tuple(sorted({one.name for one in group}))) for group in copies.groups
    ]
    splits = {
        name: frozenset(group[0].path for group in copies.groups if group[0].split == name)
        for name in SPLITS
        if name in found.splits.values()
    }
    return AnnotatedSet(
        root=tree.root,
        samples=tuple(sorted(samples, key=lambda sample: sample.path)),
        splits=splits,
        rejected=tuple(sorted(_rejected(tree, found), key=lambda bad: bad.path)),
        notes=tuple(_notes(tree, found, copies)),
        places=_places(found),
    )


def _places(found: ClassFolders) -> dict[str, str]:
    """The first folder of each class."""
    places: dict[str, str] = {}
    for image in found.images:
        if image.name not in places:
            above = image.path.split("/")[: 2 if found.splits else 1]
            places[image.name] = shown("/".join(above) + "/")
    return places


def _rejected(tree: Tree, found: ClassFolders) -> Iterator[Rejection]:
    for path in found.outside:
        yield Rejection(path, Fault(Reason.NOT_ANNOTATED, "in no folder of a class"))
    for path in tree.odd:
        if is_image(path.rpartition("/")[2]):
            yield Rejection(path, Fault(Reason.MISSING, "no file, or a link that leads to none"))


def _notes(tree: Tree, found: ClassFolders, copies: Copies) -> Iterator[str]:
    """A line per thing that was ignored or joined."""
    others = [*tree.others, *(name for name in tree.odd if not is_image(name.rpartition("/")[2]))]
    if others:
        yield f"ignored, not images: {by_suffix(others)}; first: {shown(min(others))}"
    if empty := _without_images(tree, found):
        yield f"no images in {first_names([f'{name}/' for name in empty])}"
    if len(found.classes) == 1 and not found.splits:
        name = found.classes[0]
        if all(path.count("/") > 1 for path, *_ in found.images):
            yield (
                f"{shown(name)}/ is the only class; if the folders in it are the classes, give "
                f"{shown(str(tree.root / name))}"
            )
    yield from _copies(copies)


def _without_images(tree: Tree, found: ClassFolders) -> list[str]:
    """The folders without images where class folders are."""
    full = {"/".join(i.path.split("/")[: 2 if found.splits else 1]) for i in found.images}
    above: Iterable[str] = [f"{folder}/" for folder in sorted(found.splits)] or [""]
    there = [f"{folder}{name}" for folder in above for name in folders_in(tree.root / folder)]
    return [name for name in there if name not in full]


def _copies(copies: Copies) -> Iterator[str]:
    several = [group for group in copies.groups if len({one.name for one in group}) > 1]
    ways = [f"{copies.linked} by link"] if copies.linked else []
    ways += [f"{copies.equal} by equal name and bytes"] if copies.equal else []
    if ways:
        group = next(iter(several), None) or next(g for g in copies.groups if len(g) > 1)
        yield (
            f"{counted(copies.linked + copies.equal, 'file')} joined with another of the same "
            f"image ({', '.join(ways)}), such as {first_names([one.path for one in group])}; "
            f"{counted(len(several), 'image')} with several labels"
        )
    for among, what in ((False, "under different names"), (True, "in different splits")):
        groups = [g for g in copies.alike if (len({one.split for one in g}) > 1) == among]
        if groups:
            first = first_names([one.path for one in groups[0]])
            yield (
                f"{counted(sum(map(len, groups)), 'image')} with the bytes of another {what}, such "
                f"as {first}: kept apart"
            )
