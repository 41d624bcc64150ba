"""Determines the splits of several COCO files from their names or folders."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Final, NamedTuple

from shards.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_WORDS: Final = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation"), "val"),
    **dict.fromkeys(("test", "testing"), "test"),
    "trainval": "trainval",
}
_LETTERS: Final = re.compile(r"[a-z]+")


class CocoFile(NamedTuple):
    """A COCO file.

    Attributes:
        file: its path.
        split: the split of its images; None if this single file is the whole set.
    """

    file: Path
    split: str | None = None


def name_splits(files: Sequence[CocoFile]) -> list[CocoFile]:
    """Determine the split of each of several files.

    If not given, it is the split word in the file name (instances_train2017.json), else in the
    folder name (valid/_annotations.coco.json). A single file is returned unchanged.

    Raises:
        SourceError: a file name has no split word or several, or two files have the same split;
            says how to name it.
    """
    if len(files) < 2:
        return list(files)
    named = [CocoFile(one.file, one.split or _split_of(one.file)) for one in files]
    counts = Counter(one.split for one in named)
    for one in named:
        if counts[one.split] > 1:
            raise SourceError(
                f"{one.file}: a second file for split '{one.split}'. Name the split of each: "
                "`coco=['SPLIT=FILE']`."
            )
    return named


def _split_of(file: Path) -> str:
    """The split in the name of a file, else of its folder."""
    found = {_WORDS[word] for word in _LETTERS.findall(file.stem.casefold()) if word in _WORDS}
    if not found:
        # A folder's whole name must match: 'test_of_cameras' is not a test split.
        folder = file.absolute().parent.name.casefold().rstrip("0123456789_-")
        found = {_WORDS[folder]} if folder in _WORDS else set()
    if len(found) == 1:
        return found.pop()
    raise SourceError(
        f"{file}: its name does not tell which split it is. Name it: `coco={[f'train={file}']!r}`."
    )
