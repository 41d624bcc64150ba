"""Finds the tars of a WebDataset, the split of each, and the names of the classes.

Source of the layout: webdataset_builder.py of CLIP_benchmark (https://github.com/LAION-AI/
CLIP_benchmark), which wrote `wds_voc2007_multilabel`: SPLIT/N.tar, SPLIT/nshards.txt and
classnames.txt.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Final, NamedTuple

from shards.classes import read_classes
from shards.errors import LabelError, SourceError
from shards.file_kinds import is_tar
from shards.files import open_text
from shards.packed_set import manifest_of
from shards.split_names import known_split, split_word

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

CLASS_NAMES: Final = "classnames.txt"
_SHARDS: Final = "nshards.txt"
_DIGITS: Final = re.compile(r"(\d+)")


class TarFile(NamedTuple):
    """One tar.

    Attributes:
        path: relative to the root, with '/' between folders.
        split: the split that a folder or its own name tells, or None.
    """

    path: str
    split: str | None


def find_tars(root: Path, files: Iterable[str]) -> list[TarFile]:
    """The tars below a root, '2.tar' before '10.tar'.

    Args:
        root: the folder.
        files: the files below it, relative to it.

    Raises:
        SourceError: there is none, the folder is a packed set, or there are more or fewer tars
            than nshards.txt says.
    """
    files = list(files)
    names = sorted((name for name in files if is_tar(name.rpartition("/")[2])), key=_natural)
    if not names:
        raise SourceError(f"{root}: no .tar in it. Give the folder with the tars as SRC.")
    tars = Counter(name.rpartition("/")[0] for name in names)
    for folder in tars:
        if manifest_of(root / folder) is not None:
            raise SourceError(f"{root / folder}: already a packed set. Use it as it is.")
    for name in files:
        folder, _, base = name.rpartition("/")
        if base == _SHARDS:
            _check_count(root / name, tars[folder])
    return [TarFile(name, _split_of(name)) for name in names]


def _natural(name: str) -> list[tuple[int, str]]:
    """A key that sorts numbers by their values."""
    parts = _DIGITS.split(name)
    return [(int(part), "") if at % 2 else (0, part) for at, part in enumerate(parts)] + [(0, name)]


def _split_of(name: str) -> str | None:
    """The split of the nearest folder that is called like one, else of a word in the name."""
    *folders, base = name.split("/")
    for folder in folders[::-1]:
        if split := known_split(folder):
            return split
    return split_word(base)


def _check_count(file: Path, found: int) -> None:
    """Compare the number of tars in a folder with its nshards.txt.

    Raises:
        SourceError: they differ, so the download is incomplete.
    """
    try:
        with open_text(file) as opened:
            text = opened.read(100).strip()
    except (OSError, ValueError) as error:
        raise SourceError(f"{file}: cannot be read: {error}.") from error
    if not (text.isascii() and text.isdigit()):
        raise SourceError(f"{file}: {text!r} is not a number of tars. Correct or delete it.")
    if int(text) != found:
        raise SourceError(
            f"{file}: says {int(text)} tars, but there are {found}. Download the others, or "
            "correct the number."
        )


def class_names(root: Path, tars: Sequence[TarFile]) -> tuple[str, ...] | None:
    """The classes by index, from classnames.txt beside the tars or above; None without it.

    Raises:
        SourceError: a file cannot be read or has a blank line; two of them differ.
    """
    found: dict[tuple[str, ...], Path] = {}
    for folder in dict.fromkeys(tar.path.rpartition("/")[0] for tar in tars):
        parts = folder.split("/") if folder else []
        places = [root.joinpath(*parts[:depth]) for depth in range(len(parts), -1, -1)]
        file = next((p / CLASS_NAMES for p in places if (p / CLASS_NAMES).exists()), None)
        if file is not None:
            found.setdefault(_read_names(file), file)
    if len(found) > 1:
        one, other, *_ = found.values()
        raise SourceError(f"{one}: other classes than in {other}. Keep one file, in {root}.")
    return next(iter(found), None)


def _read_names(file: Path) -> tuple[str, ...]:
    try:
        names = read_classes(file)
        with open_text(file, encoding="utf-8-sig") as opened:
            lines = opened.read().rstrip().split("\n")
    except LabelError as error:
        raise SourceError(str(error)) from error
    except OSError as error:
        raise SourceError(f"{file}: cannot be read: {error.strerror}.") from error
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            # Otherwise all later classes would have the index of the one before.
            raise SourceError(f"{file}, line {number}: blank. Name class {number - 1}.")
    return names
