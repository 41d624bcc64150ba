"""What people call the splits of a set, and what they are called here."""

from __future__ import annotations

from typing import Final

SPLITS: Final = ("train", "val", "trainval", "test")
"""The names that are known here, in the order in which they are packed."""

_OTHER_NAMES: Final = {
    "training": "train",
    "valid": "val",
    "validation": "val",
    "testing": "test",
    "train-val": "trainval",
    "trainvalid": "trainval",
}


def known_split(name: str) -> str | None:
    """The split that a name stands for, in any case: 'valid' and 'Validation' are 'val'.

    Args:
        name: of a list without its suffix, of a folder, or a cell of a table.

    Returns:
        One of `SPLITS`, or None for any other name.
    """
    plain = name.strip().lower()
    return plain if plain in SPLITS else _OTHER_NAMES.get(plain)
