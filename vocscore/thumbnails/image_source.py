"""Finds the bytes of a row's image: in a folder, in shards or other tars, by a list, or one file.

Rows are numbers, and names come from the predictions; a name never leads out of the source.
"""

from __future__ import annotations

import posixpath
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from shards.errors import BadImage, Error, Fault, Reason
from shards.images.reading import read_bytes
from shards.manifest import NAME as MANIFEST
from shards.manifest import read_manifest
from shards.paths import relative_path
from shards.sample import ImageRef
from shards.tar.images import list_tar
from shards.tar.walk import CompressedTarError
from vocscore.config.compute import DecodeConfig
from vocscore.scoring.inputs.sources import read_source
from vocscore.scoring.inputs.units import LooseFiles

if TYPE_CHECKING:
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
        self._packed: dict[Path, dict[str, ImageRef]] = {}
        self._listed: _Listed | None = None

    def read(self, *names: str) -> bytes:
        """Read an image.

        Args:
            names: of the image in the predictions, and others that it may have in the source.

        Raises:
            BadImage: it cannot be found or read; the fault says why.
        """
        if self.place is None:
            line = "the folder of the images is unknown; name it (images)"
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
        return self._of_folder(place, name) if place.is_dir() else self._of_file(place, name)

    def _of_folder(self, folder: Path, name: str) -> ImageRef | None:
        """A file below the folder, or an image of a tar or a packed set there.

        Those are named as when they are scored: the folder of the tar, then 'TAR/MEMBER' or the
        original path.
        """
        packed = _is_file(folder / MANIFEST) and self._of_packed(folder).get(name)
        if packed:
            return packed
        inside = _inside(folder, name)
        if inside is None:
            return None
        if _is_file(folder / inside):
            return ImageRef(name, str(folder / inside))
        parts = inside.split("/")
        for end in range(1, len(parts)):
            place = folder / "/".join(parts[:end])
            if _is_file(place):
                return self._of_tar(place, "/".join(parts[end - 1 :]))
            if _is_file(place / MANIFEST):
                found = self._of_packed(place).get("/".join(parts[end:]))
                if found is not None:
                    return found
        return None

    def _of_tar(self, tar: Path, name: str) -> ImageRef | None:
        with self._lock:
            if tar not in self._tars:
                self._tars[tar] = _members(tar)
            return self._tars[tar].get(name)

    def _of_packed(self, folder: Path) -> dict[str, ImageRef]:
        with self._lock:
            if folder not in self._packed:
                found = self._packed[folder] = {}
                for shard in _shards(folder):
                    for name, ref in _members(folder / shard).items():
                        found.setdefault(name, ref)
            return self._packed[folder]

    def _of_file(self, file: Path, name: str) -> ImageRef | None:
        """An image that a list names, a member of a tar, or the file itself."""
        with self._lock:
            if self._listed is None:
                self._listed = _listed(file)
            listed = self._listed
        if listed.is_tar:
            return self._of_tar(file, name)
        return ImageRef(name, posixpath.join(listed.root, name)) if name in listed.names else None


@dataclass(frozen=True, slots=True)
class _Listed:
    """What scoring finds in a file.

    Attributes:
        is_tar: it is a tar; its members are not listed here.
        root: the folder that names are relative to.
        names: of the images.
    """

    is_tar: bool
    root: str
    names: frozenset[str]


def _listed(file: Path) -> _Listed:
    """List a file as scoring does; no names if it cannot be scored."""
    try:
        found = read_source(file.absolute())  # absolute: '-' would be standard input
    except (Error, OSError):
        return _Listed(is_tar=False, root="", names=frozenset())
    if isinstance(found, LooseFiles):
        return _Listed(is_tar=False, root=found.root, names=frozenset(found.names))
    return _Listed(is_tar=True, root="", names=frozenset())


def _inside(folder: Path, name: str) -> str | None:
    """A name relative to the folder; None if it is not that of a file below it."""
    inside = None if "\0" in name or "\\" in name else relative_path(name, folder)
    if "\\" in name and not name.startswith("/") and posixpath.normpath(name) == name:
        inside = name  # a backslash is a letter of a POSIX file name
    return None if inside is None or inside.startswith("../") else inside


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except PermissionError:
        return True  # reading it says why it cannot be read
    except OSError:  # a name that is longer than any file's
        return False


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


def source_of(dataset: Dataset) -> ImageSource:
    """The images of a dataset."""
    return ImageSource(None if dataset.images is None else Path(dataset.images))


def names_of(dataset: Dataset, row: int) -> tuple[str, ...]:
    """The names of a row's image: in the predictions, and in the packed set."""
    labels = dataset.labels
    return (dataset.table.path(row), "" if labels is None else labels.name(row))
