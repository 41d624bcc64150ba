"""Common names of splits, mapped to the names used here."""

from __future__ import annotations

import re
from typing import Final

SPLITS: Final = ("train", "val", "trainval", "test")
"""The names used here, in packing order."""

_OTHER_NAMES: Final = {
    "training": "train",
    "valid": "val",
    "validation": "val",
    "testing": "test",
    "train-val": "trainval",
    "trainvalid": "trainval",
}
_WORD: Final = re.compile(r"[^\W\d_]+")


def known_split(name: str) -> str | None:
    """The split that a name refers to, ignoring case: 'valid' and 'Validation' are 'val'.

    Args:
        name: of a list (without suffix) or a folder, or a table cell.

    Returns:
        One of `SPLITS`, or None for any other name.
    """
    plain = name.strip().lower()
    return plain if plain in SPLITS else _OTHER_NAMES.get(plain)


def split_word(name: str) -> str | None:
    """The only split that is a word of a name, as in 'training_set' or 'imagenet-val-03.tar'."""
    words = {known_split(word) for word in _WORD.findall(name)} - {None}
    return words.pop() if len(words) == 1 else None
