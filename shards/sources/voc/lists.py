"""ImageSets/Main: which images a list names, however the program that wrote it names them."""

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
"""Bytes of a list; 50 million ids."""
_FLAG: Final = re.compile(r"\s+-?[01]$")
"""What stands behind an id in the lists of single classes, and with some programs in all lists."""
_TWO_COLUMNS: Final = re.compile(r"(\S.*\.\w+)\s+\S.*\.xml$", re.IGNORECASE)
"""An image and its annotation, as PaddleDetection lists them."""
_ABSOLUTE: Final = re.compile(r"/|[A-Za-z]:/")
_SHOWN: Final = 3


class Lists(NamedTuple):
    """The lists of one place.

    Attributes:
        stems: split -> the stems of the images it names, those that are there.
        missing: file name of an image that is not there -> the lists that name it.
        notes: lines on lists under other names, and on those left aside.
    """

    stems: Mapping[str, frozenset[str]]
    missing: Mapping[str, list[str]]
    notes: list[str]


def read_lists(
    root: Path, folder: str, *, stems: Collection[str], images: str, classes: Collection[str]
) -> Lists:
    """Read train.txt, val.txt, trainval.txt and test.txt, under these names or usual others.

    A line is the stem of an image, or its file name or path, perhaps with 1, 0 or -1 behind it.
    Lists of single classes (cat_train.txt) repeat the annotations and are not looked at.

    Args:
        root: the folder of the set.
        folder: of ImageSets/, relative to the root; the lists are in Main/ below it, or in it.
        stems: of the images and the annotations that are there.
        images: the folder of the images, relative to the root, with '/' behind or ''.
        classes: the names by which lists of single classes are known.

    Raises:
        SourceError: a list cannot be read, or two different ones are of the same split.
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
    """The lists that are read, each with its split; those left aside; those of single classes."""
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
    """Whether a list is called as VOC calls those of single classes: CLASS_SPLIT."""
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
    """One list a split; two that name the same images are one."""
    for split, files in found.items():
        if len(set(files.values())) > 1:
            raise SourceError(
                f"{folder}: {' and '.join(map(shown, files))} are both lists of '{split}' but "
                "name different images. Remove or rename one."
            )
    return {split: next(iter(files.values())) for split, files in found.items()}


def _read_ids(file: Path) -> dict[str, None]:
    """One id a line. Read as file names are, so that ids which are no text find their files."""
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
    """From a line of a list to the stem of an image."""

    def __init__(self, stems: Collection[str], images: str) -> None:
        self._stems = stems
        self._images = f"/{images}" if images else ""
        self._flat = not any("/" in stem for stem in stems)

    def __call__(self, line: str) -> str | None:
        """The stem that a line means, or None where there is none such.

        The line as it stands comes first: stems may end in '.jpg' or in ' 1'.
        """
        if line in self._stems:
            return line
        return next((one for one in self._readings(line) if one in self._stems), None)

    def file_name(self, line: str) -> str:
        """The file that a line means which nothing is there for: with its suffix, or .jpg."""
        *_, plain = self._paths(_FLAG.sub("", line))
        return plain if format_of_name(plain) else f"{_without_suffix(plain)}.jpg"

    def _readings(self, line: str) -> Iterator[str]:
        columns = _TWO_COLUMNS.match(line)
        for text in (line, _FLAG.sub("", line), *(columns.groups() if columns else ())):
            for path in self._paths(text):
                yield path
                yield _without_suffix(path)

    def _paths(self, text: str) -> Iterator[str]:
        """A path, then what of it may lie below the folder of the images, longest first."""
        path = posixpath.normpath(text.strip("\"'").replace("\\", "/"))
        yield path
        for folder in (self._images, "/JPEGImages/", "/Annotations/"):
            _, found, below = f"/{path}".rpartition(folder) if folder else ("", "", "")
            if found:
                yield below
        # Elsewhere, the folders of a path may be those of another machine; but not where images
        # lie in folders here, too, and a.jpg is another image than cam2/a.jpg.
        if self._flat or _ABSOLUTE.match(path):
            while "/" in path:
                path = path.partition("/")[2]
                yield path


def _without_suffix(path: str) -> str:
    stem, _, suffix = path.rpartition(".")
    known = suffix.lower() == "xml" or format_of_name(path) is not None
    return stem if stem and known else path
