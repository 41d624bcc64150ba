"""Finds the images of each split of a YOLO data set, and the label file of each image."""

from __future__ import annotations

import os
import posixpath
from typing import TYPE_CHECKING, Final, NamedTuple

from shards.errors import SourceError
from shards.paths import is_image, shown
from shards.sources.finder import Finder
from shards.sources.folders import by_suffix, files_below
from shards.sources.whole_file import read_whole
from shards.sources.words import counted

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from shards.sample import Rejection
    from shards.sources.yolo.config import YoloConfig

_TRIED: Final = 100
"""Lines of a list tried to find the folder that its paths are relative to."""
_IMAGES, _LABELS = "images", "labels"
_NOT_LABELS: Final = frozenset({"classes.txt", "obj.names"})


class Images(NamedTuple):
    """The images of one split.

    Attributes:
        paths: relative to the root, in order, each once.
        folders: the folders that were listed whole, relative to the root.
        rejected: images that a list names and that do not exist.
        notes: lines for the user.
    """

    paths: Sequence[str]
    folders: Sequence[str]
    rejected: Sequence[Rejection]
    notes: Sequence[str]


def label_path(image: str) -> str:
    """The label file of an image: the last folder images/ becomes labels/, the suffix .txt.

    Args:
        image: relative to the root, with '/' between folders.
    """
    *folders, name = image.split("/")
    if _IMAGES in folders:
        at = len(folders) - 1 - folders[::-1].index(_IMAGES)
        folders[at] = _LABELS
    return "/".join((*folders, f"{name.rpartition('.')[0] or name}.txt"))


def images_of(root: Path, config: YoloConfig) -> Mapping[str, Images]:
    """Find the images of every split.

    Raises:
        SourceError: a folder or a list does not exist or is not below the root.
    """
    return {split: _Split(root, config, split).find() for split in config.splits}


def stray_labels(root: Path, folders: Sequence[str], used: set[str]) -> list[str]:
    """The label files that belong to no image, sorted.

    Args:
        root: the folder of the set.
        folders: the folders of images that were listed whole.
        used: the label files of all images.
    """
    places = {posixpath.dirname(label_path(f"{folder}/x" if folder else "x")) for folder in folders}
    found = {
        posixpath.join(place, name)
        for place in places
        if os.path.isdir(os.path.join(root, place))  # noqa: PTH112, PTH118 - place may be ''
        for name in files_below(root / place)
        if name.lower().endswith(".txt") and name.rpartition("/")[2] not in _NOT_LABELS
    }
    return sorted(found - used)


class _Split:
    """Collects the images of one split."""

    def __init__(self, root: Path, config: YoloConfig, split: str) -> None:
        self._root = root
        self._config = config
        self._split = split
        self._paths: dict[str, None] = {}
        self._folders: list[str] = []
        self._rejected: list[Rejection] = []
        self._notes: list[str] = []
        self._again = 0

    def find(self) -> Images:
        """All images of the split.

        Raises:
            SourceError: as for `images_of`, or there is no image.
        """
        for text in self._config.splits[self._split]:
            place = self._place(text)
            if (self._root / place).is_dir():
                self._add_folder(place)
            else:
                self._add_list(place)
        if self._again:
            repeated = counted(self._again, "image")
            self._notes.append(f"{self._config.file.name}: {self._split}: {repeated} named twice")
        if not self._paths and not self._rejected:
            where = ", ".join(map(shown, self._config.splits[self._split]))
            raise SourceError(
                f"{self._config.file}: {self._split}: no image in {where}. Correct the folder, or "
                f"remove '{self._split}'."
            )
        return Images(list(self._paths), self._folders, self._rejected, self._notes)

    def _add(self, path: str) -> None:
        self._again += path in self._paths
        self._paths[path] = None

    def _add_folder(self, folder: str) -> None:
        names = files_below(self._root / folder)
        others = [one for one in names if not is_image(one.rpartition("/")[2])]
        others = [one for one in others if not one.endswith((".txt", ".cache"))]
        if others:
            what = f"{folder or self._root}/: ignored {by_suffix(others)}"
            self._notes.append(f"{self._config.file.name}: {shown(what)}")
        self._folders.append(folder)
        for name in names:
            if is_image(name.rpartition("/")[2]):
                self._add(posixpath.join(folder, name))

    def _add_list(self, place: str) -> None:
        file = self._root / place
        lines = read_whole(file).decode("utf-8-sig", "surrogateescape").splitlines()
        named = [(number, line) for number, line in enumerate(lines, start=1) if line.strip()]
        finder = Finder(self._root, file)
        tried = [line for _, line in named[:_TRIED]]
        base = self._base(tried, posixpath.dirname(place), finder)
        for number, line in named:
            self._add(finder.find(line, f"line {number}", base=base))
        finder.check()
        self._notes += finder.notes()
        for rejection in finder.rejected():
            del self._paths[rejection.path]
            self._rejected.append(rejection)

    def _base(self, lines: Sequence[str], above: str, finder: Finder) -> str:
        """The folder that the paths of a list are relative to: its own, or one of the config."""
        bases = (above, *self._bases(), "")
        return max(bases, key=lambda base: sum(finder.has(one, base=base) for one in lines))

    def _bases(self) -> Iterator[str]:
        """The folders below the root that the config's paths may be relative to."""
        above = self._config.file.absolute().parent
        if self._config.base is not None:
            inside = _inside(os.path.join(above, self._config.base), self._root)  # noqa: PTH118
            if inside is not None:
                yield inside
        own = _inside(os.fspath(above), self._root)
        yield from (one for one in (own, "") if one is not None)

    def _place(self, text: str) -> str:
        """The folder or list that a text names, relative to the root.

        Raises:
            SourceError: there is none, or it is outside of the root.
        """
        # Ultralytics drops a '../' that leads nowhere, and Roboflow's exports rely on it.
        texts = [text, *([text[3:]] if text.startswith("../") else [])]
        for base in self._bases():
            for one in texts:
                place = _inside(os.path.join(self._root.absolute(), base, one), self._root)  # noqa: PTH118
                if place is not None and (self._root / place).exists():
                    return place
        raise SourceError(self._absent(text))

    def _absent(self, text: str) -> str:
        where = f"{self._config.file}: {self._split}: {shown(text)!r}"
        above = self._config.file.absolute().parent
        outside = above / (self._config.base or "") / text
        try:
            exists = outside.exists()
        except (OSError, ValueError):
            exists = False
        if exists:
            return (
                f"{where} is not inside {self._root}. Give a folder that contains all images as "
                "SRC, with the data.yaml in it."
            )
        return f"{where}: no such folder below {self._root}. Correct it, or copy the images there."


def _inside(path: str, root: Path) -> str | None:
    """An absolute path relative to the root ('' is the root); None if it is not inside."""
    plain = os.path.normpath(path.replace("\\", "/"))
    for top in (root.absolute(), root.resolve()):
        inside = posixpath.relpath(plain, top)
        if inside == ".":
            return ""
        if inside != ".." and not inside.startswith("../"):
            return inside
    return None
