"""Reads the lists of ImageSets/Main, in the variants that different programs write."""

from __future__ import annotations

import codecs
import os
import posixpath
import re
from typing import TYPE_CHECKING, Final, NamedTuple

from shards.errors import SourceError
from shards.files import read_regular
from shards.image_formats import format_of_name
from shards.paths import shown
from shards.split_names import known_split

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from pathlib import Path

_LARGEST_FILE: Final = 1 << 30
"""Maximum bytes of a list; about 50 million ids."""
_FLAG: Final = re.compile(r"\s+-?[01]$")
"""Follows an id in per-class lists and, with some programs, in all lists."""
_TWO_COLUMNS: Final = re.compile(r"(\S.*\.\w+)\s+\S.*\.xml$", re.IGNORECASE)
"""An image and its annotation, as PaddleDetection lists them."""
_ABSOLUTE: Final = re.compile(r"/|[A-Za-z]:/")
_SHOWN: Final = 3


class Lists(NamedTuple):
    """The lists of one place.

    Attributes:
        stems: split -> stems of its existing images.
        missing: file name of a missing image -> the lists that name it.
        notes: lines on lists under other names, and on ignored lists.
    """

    stems: Mapping[str, frozenset[str]]
    missing: Mapping[str, list[str]]
    notes: list[str]


def read_lists(
    root: Path, folder: str, *, stems: Collection[str], images: str, classes: Collection[str]
) -> Lists:
    """Read train.txt, val.txt, trainval.txt and test.txt, under these or other common names.

    A line is the stem, file name or path of an image, optionally followed by 1, 0 or -1.
    Per-class lists (cat_train.txt) repeat the annotations and are not read.

    Args:
        root: the folder of the set.
        folder: ImageSets/, relative to the root; the lists are in it or in Main/ below it.
        stems: stems of the existing images and annotations.
        images: the folder of the images, relative to the root, with a final '/', or ''.
        classes: class names, to recognize per-class lists.

    Raises:
        SourceError: a list cannot be read, or two different lists are for the same split.
    """
    main = f"{folder}Main/" if (root / folder / "Main").is_dir() else folder
    files, aside, single = _known_files(root / main, classes)
    found: dict[str, dict[str, frozenset[str]]] = {}
    missing: dict[str, list[str]] = {}
    notes = _which(main, files, aside)
    if single and not files:
        notes.append(f"{main}: ignored: {single} per-class lists; no list covers all classes")
    find = _Finder(stems, images)
    for file, split in files.items():
        where = f"{main}{file}"
        ids = _read_ids(root / main / file)
        hits = {one: find(one) for one in ids}
        found.setdefault(split, {})[file] = frozenset(hit for hit in hits.values() if hit)
        lost = [one for one, hit in hits.items() if not hit]
        for one in lost:
            missing.setdefault(find.file_name(one), []).append(where)
        if lost:
            notes.append(
                f"{where}: {len(lost)} of {len(ids)} lines match neither an image nor an "
                f"annotation; first: {shown(lost[0])}"
            )
    return Lists(_one_each(root / main, found), missing, notes)


def _known_files(folder: Path, classes: Collection[str]) -> tuple[dict[str, str], list[str], int]:
    """The lists to read, each with its split; ignored lists; the number of per-class lists."""
    files: dict[str, str] = {}
    aside: list[str] = []
    single = 0
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if path.name.startswith(".") or path.suffix.lower() != ".txt" or not path.is_file():
            continue
        split = known_split(path.stem)
        if split is not None:
            files[path.name] = split
        elif _of_one_class(path.stem, classes):
            single += 1
        else:
            aside.append(path.name)
    return files, aside, single


def _of_one_class(stem: str, classes: Collection[str]) -> bool:
    """Whether a list is named like VOC's per-class lists: CLASS_SPLIT."""
    return any(
        stem[at] == "_" and known_split(stem[at + 1 :]) is not None and stem[:at] in classes
        for at in range(1, len(stem))
    )


def _which(main: str, files: Mapping[str, str], aside: list[str]) -> list[str]:
    if not aside and all(file == f"{split}.txt" for file, split in files.items()):
        return []
    read = ", ".join(f"{shown(file)} as '{split}'" for file, split in files.items()) or "none"
    names = ", ".join(shown(name) for name in aside[:_SHOWN]) or "none"
    more = f" and {len(aside) - _SHOWN} more" if len(aside) > _SHOWN else ""
    return [f"{main}: lists read: {read}; ignored: {names}{more}"]


def _one_each(
    folder: Path, found: Mapping[str, Mapping[str, frozenset[str]]]
) -> dict[str, frozenset[str]]:
    """One list per split; two lists with the same images count as one."""
    for split, files in found.items():
        if len(set(files.values())) > 1:
            raise SourceError(
                f"{folder}: {' and '.join(map(shown, files))} are both lists of '{split}' but "
                "name different images. Remove or rename one."
            )
    return {split: next(iter(files.values())) for split, files in found.items()}


def _read_ids(file: Path) -> dict[str, None]:
    """One id per line. Decoded like file names, so that ids that are not text match files."""
    try:
        if file.stat().st_size > _LARGEST_FILE:
            raise SourceError(f"{file}: more than {_LARGEST_FILE >> 30} GiB: not a list of images.")
        data = read_regular(file)
    except OSError as error:
        raise SourceError(f"{file}: cannot be read: {error.strerror}.") from error
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):  # PowerShell's '>'
        data = data.decode("utf-16", "replace").encode()
    lines = data.removeprefix(codecs.BOM_UTF8).split(b"\n")
    ids = (os.fsdecode(line.rstrip()) for line in lines)
    return dict.fromkeys(one for one in ids if one)


class _Finder:
    """Maps a line of a list to the stem of an image."""

    def __init__(self, stems: Collection[str], images: str) -> None:
        self._stems = stems
        self._images = f"/{images}" if images else ""
        self._flat = not any("/" in stem for stem in stems)

    def __call__(self, line: str) -> str | None:
        """The stem that a line refers to, or None if there is none.

        The unchanged line is tried first: stems may end in '.jpg' or ' 1'.
        """
        if line in self._stems:
            return line
        return next((one for one in self._readings(line) if one in self._stems), None)

    def file_name(self, line: str) -> str:
        """The file name that an unmatched line refers to: with its suffix, or .jpg."""
        *_, plain = self._paths(_FLAG.sub("", line))
        return plain if format_of_name(plain) else f"{_without_suffix(plain)}.jpg"

    def _readings(self, line: str) -> Iterator[str]:
        columns = _TWO_COLUMNS.match(line)
        for text in (line, _FLAG.sub("", line), *(columns.groups() if columns else ())):
            for path in self._paths(text):
                yield path
                yield _without_suffix(path)

    def _paths(self, text: str) -> Iterator[str]:
        """A path, then the parts of it that may be relative to the image folder, longest first."""
        path = posixpath.normpath(text.strip("\"'").replace("\\", "/"))
        yield path
        for folder in (self._images, "/JPEGImages/", "/Annotations/"):
            _, found, below = f"/{path}".rpartition(folder) if folder else ("", "", "")
            if found:
                yield below
        # Otherwise, the folders of a path may be from another machine; but not if images are in
        # subfolders here, since a.jpg is then a different image than cam2/a.jpg.
        if self._flat or _ABSOLUTE.match(path):
            while "/" in path:
                path = path.partition("/")[2]
                yield path


def _without_suffix(path: str) -> str:
    stem, _, suffix = path.rpartition(".")
    known = suffix.lower() == "xml" or format_of_name(path) is not None
    return stem if stem and known else path
