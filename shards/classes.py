"""The vocabulary: which classes there are, in which column, and a picture's labels in numbers."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from shards.errors import LabelError
from shards.files import open_text
from shards.paths import shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from shards.sample import Sample

VOC_CLASSES = (
    "aeroplane",
    "bicycle",
    "bird",
    "boat",
    "bottle",
    "bus",
    "car",
    "cat",
    "chair",
    "cow",
    "diningtable",
    "dog",
    "horse",
    "motorbike",
    "person",
    "pottedplant",
    "sheep",
    "sofa",
    "train",
    "tvmonitor",
)
"""The 20 classes in the devkit's order. Source: VOC devkit, `VOCcode/VOCinit.m`."""


def choose_classes(
    found: Iterable[str], given: Sequence[str] | None, declared: Sequence[str] | None = None
) -> tuple[str, ...]:
    """Fix the columns of the labels.

    Args:
        found: the class names that occur in the set, any order.
        given: the classes that the user asks for, in column order, or None. Whether every name
            found is among them is for `encode` to see, which knows the picture.
        declared: the vocabulary that the set's layout declares (`AnnotatedSet.classes`), or None.

    Returns:
        `given` where there is one, else `declared`; else VOC's 20 where every name found is one
        of them, else the names found, sorted by code point.

    Raises:
        LabelError: there is no class at all, or a name cannot be a column (see `read_classes`).
    """
    if given is not None or declared is not None:
        chosen = tuple(given if given is not None else declared or ())
    else:
        names = set(found)
        chosen = VOC_CLASSES if names and names <= set(VOC_CLASSES) else tuple(sorted(names))
    if not chosen:
        raise LabelError("no picture has a label, so there are no classes. Name them: --classes.")
    for name in chosen:
        _check_name(name, where="classes")
    return chosen


def read_classes(file: Path) -> tuple[str, ...]:
    """Read a vocabulary: one class a line, in column order.

    Blank lines and blanks around a name do not count.

    Args:
        file: UTF-8, with or without a byte order mark.

    Returns:
        The classes.

    Raises:
        LabelError: no class, one twice, not UTF-8, or a name that cannot be a column: one with
            ';' (it stands between names in tables) or with characters that cannot be printed.
    """
    try:
        with open_text(file, encoding="utf-8-sig") as opened:
            text = opened.read()
    except UnicodeDecodeError as error:
        raise LabelError(f"{file}: not UTF-8 at byte {error.start}. Save it as UTF-8.") from None
    lines: dict[str, int] = {}
    for number, line in enumerate(text.split("\n"), start=1):
        name = line.strip()
        if name in lines:
            raise LabelError(f"{file}: {name!r} in line {lines[name]} and {number}. Keep one.")
        if name:
            _check_name(name, where=f"{file}, line {number}")
            lines[name] = number
    if not lines:
        raise LabelError(f"{file}: no classes. Write one a line.")
    return tuple(lines)


def encode(sample: Sample, classes: Sequence[str]) -> NDArray[np.int8]:
    """Turn one picture's class names into its row of the label matrix.

    Args:
        sample: the picture.
        classes: the vocabulary, in column order.

    Returns:
        int8, shape (len(classes),): 1 where the class is present, -1 where it has only
        'difficult' instances, else 0.

    Raises:
        LabelError: the picture has a class that is not in `classes`.
    """
    columns = _columns(tuple(classes))
    row = np.zeros(len(classes), dtype=np.int8)
    for names, value in ((sample.present, 1), (sample.difficult, -1)):
        for name in names:
            column = columns.get(name)
            if column is None:
                raise LabelError(
                    f"{shown(sample.path)}: class {name!r} is not among the {len(classes)} "
                    "classes. Add it to the file of --classes, or leave --classes out."
                )
            row[column] = value
    return row


@lru_cache(maxsize=8)
def _columns(classes: tuple[str, ...]) -> Mapping[str, int]:
    """Column of each class; kept, because a whole set is encoded with the same classes."""
    return {name: column for column, name in enumerate(classes)}


def _check_name(name: str, *, where: str) -> None:
    """Refuse a name that a header or a list of names could not hold."""
    if not name.isprintable() or ";" in name or name != name.strip() or not name:
        raise LabelError(
            f"{where}: {name!r} cannot be a class: blank, with blanks around it, with ';' or "
            "with characters that cannot be printed. Rename it."
        )
