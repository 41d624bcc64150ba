"""Finds the bytes of a row's image: in a folder, in shards or other tars, by a list, or one file.

Rows are numbers, and names come from the predictions; a name never leads out of the source.
"""

from __future__ import annotations

import posixpath
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from shards.errors import BadImage, Error, Fault, Reason
from shards.file_kinds import is_tar
from shards.files import open_binary
from shards.images.reading import read_bytes
from shards.manifest import NAME as MANIFEST
from shards.manifest import read_manifest
from shards.paths import relative_path
from shards.sample import ImageRef
from shards.tar.images import list_tar
from shards.tar.walk import CompressedTarError
from vocscore.config.compute import DecodeConfig
from vocscore.scoring.inputs.lists import LIST_SUFFIXES, read_list

if TYPE_CHECKING:
    from collections.abc import Callable

    from vocscore.columns.dataset import Dataset


class ImageSource:
    """The images of some predictions.

    Tars and lists are read when the first of their images is wanted. May be used by several
    threads.

    Args:
        place: the source: a folder, a packed set, a tar, a list, or an image; None if unknown.
        max_pixels: images with more pixels are refused.
    """

    def __init__(self, place: Path | None, *, max_pixels: int = DecodeConfig.max_pixels) -> None:
        self.place = place
        self.max_pixels = max_pixels
        self._lock = Lock()
        self._tars: dict[Path, dict[str, ImageRef]] = {}
        self._listed: frozenset[str] | None = None
        self._packed: dict[str, ImageRef] | None = None

    def read(self, *names: str) -> bytes:
        """Read an image.

        Args:
            names: of the image in the predictions, and others that it may have in the source.

        Raises:
            BadImage: it cannot be found or read; the fault says why.
        """
        if self.place is None:
            line = "the images are unknown; name them with --images"
            raise BadImage(Fault(Reason.VANISHED, line))
        for name in filter(None, names):
            ref = self._find(name)
            if ref is not None:
                try:
                    return read_bytes(ref, max_pixels=self.max_pixels)
                except MemoryError as error:
                    raise BadImage(Fault(Reason.TOO_LARGE, "not enough memory")) from error
        raise BadImage(Fault(Reason.VANISHED, f"not in {self.place}"))

    def _find(self, name: str) -> ImageRef | None:
        place = self.place
        assert place is not None, "read refuses None"
        if place.suffix.lower() in LIST_SUFFIXES and place.is_file():
            return self._of_list(place, name)
        if place.is_dir():
            if (place / MANIFEST).is_file():
                return self._of_packed(place).get(name) or self._of_folder(place, name)
            return self._of_folder(place, name)
        if is_tar(place.name):
            return self._of_tar(place, name)
        return ImageRef(name, str(place)) if name == place.name else None

    def _of_folder(self, folder: Path, name: str) -> ImageRef | None:
        """A file below the folder, or a member of a tar there: 'TAR/MEMBER'."""
        inside = None if "\0" in name or "\\" in name else relative_path(name, folder)
        if "\\" in name and not name.startswith("/") and posixpath.normpath(name) == name:
            inside = name  # a backslash is a letter of a POSIX file name
        if inside is None or inside.startswith("../"):
            return None
        if (folder / inside).is_file():
            return ImageRef(name, str(folder / inside))
        parts = inside.split("/")
        for end in range(1, len(parts)):
            tar = folder / "/".join(parts[:end])
            if is_tar(tar.name) and tar.is_file():
                return self._of_tar(tar, "/".join(parts[end - 1 :]))
        return None

    def _of_tar(self, tar: Path, name: str) -> ImageRef | None:
        return self._once(self._tars, tar, lambda: _members(tar)).get(name)

    def _of_packed(self, folder: Path) -> dict[str, ImageRef]:
        with self._lock:
            if self._packed is None:
                self._packed = {}
                for shard in _shards(folder):
                    for name, ref in _members(folder / shard).items():
                        self._packed.setdefault(name, ref)
            return self._packed

    def _of_list(self, file: Path, name: str) -> ImageRef | None:
        """An image that the list names."""
        with self._lock:
            if self._listed is None:
                self._listed = _listed(file)
        return ImageRef(name, posixpath.join(file.parent, name)) if name in self._listed else None

    def _once(
        self,
        known: dict[Path, dict[str, ImageRef]],
        key: Path,
        make: Callable[[], dict[str, ImageRef]],
    ) -> dict[str, ImageRef]:
        with self._lock:
            if key not in known:
                known[key] = make()
            return known[key]


def _shards(folder: Path) -> list[str]:
    try:
        return [shard.name for shard in read_manifest(folder).shards()]
    except (Error, OSError):
        return []


def _members(tar: Path) -> dict[str, ImageRef]:
    """The images of a tar by their names in predictions; {} if it cannot be read."""
    try:
        return {ref.name: ref for ref in reversed(list_tar(tar).images)}
    except (Error, CompressedTarError):
        return {}


def _listed(file: Path) -> frozenset[str]:
    """The names in a list; none if it cannot be read."""
    try:
        with open_binary(file) as lines:
            return frozenset(read_list(lines, str(file), root=str(file.parent)).names)
    except (Error, OSError):
        return frozenset()


def source_of(dataset: Dataset) -> ImageSource:
    """The images of a dataset."""
    return ImageSource(None if dataset.images is None else Path(dataset.images))


def names_of(dataset: Dataset, row: int) -> tuple[str, ...]:
    """The names of a row's image: in the predictions, and in the packed set."""
    labels = dataset.labels
    return (dataset.table.path(row), "" if labels is None else labels.name(row))
