"""The vocabulary: the classes, their column order, and the encoding of an image's labels."""

from __future__ import annotations

from collections import Counter
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from shards.class_names import canonical, name_fault
from shards.errors import LabelError
from shards.files import read_regular
from shards.paths import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from shards.sample import Sample

_LARGEST_FILE = 16 << 20
"""Maximum size of a list of classes, bytes."""

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
    found: Iterable[str],
    given: Sequence[str] | None,
    declared: Sequence[str] | None = None,
    *,
    known: Sequence[str] | None = None,
    where: Callable[[str], str] | None = None,
) -> tuple[str, ...]:
    """Choose the classes, which are the columns of the labels.

    Args:
        found: the class names that occur in the set, any order.
        given: the user's vocabulary, in column order, or None.
        declared: the vocabulary that the layout itself declares, in its order
            (`AnnotatedSet.classes`), or None.
        known: a vocabulary that sets of this layout share (`AnnotatedSet.vocabulary`), or None.
        where: returns the location of a class, for messages (`AnnotatedSet.place`).

    Returns:
        `given` if not None, else `declared`; else `known` if it contains every name found,
        else the names found, sorted by code point.

    Raises:
        LabelError: there are no classes, one found is not declared, two are equal, or a name
            cannot be a column (see `name_fault`).
    """
    where = where or (lambda _name: "classes")
    if given is not None or declared is not None:
        chosen = tuple(given if given is not None else declared or ())
    else:
        names = set(found)
        fits = known is not None and names and names <= set(known)
        chosen = tuple(known if known is not None and fits else sorted(names))
    if not chosen:
        raise LabelError("no image has a label, so there are no classes. Use `classes`.")
    if given is None and declared is not None:
        _refuse_undeclared(set(found) - set(chosen), len(chosen), where)
    counts = Counter(chosen)
    for name in chosen:
        if counts[name] > 1:
            raise LabelError(f"{where(name)}: two classes are called {name!r}. Rename one.")
        if fault := name_fault(name):
            raise LabelError(f"{where(name)}: {fault}")
    return chosen


def _refuse_undeclared(names: Collection[str], declared: int, where: Callable[[str], str]) -> None:
    if names:
        name = min(names)
        raise LabelError(
            f"{where(name)}: class {name!r} is not among the {declared} classes that the set "
            f"declares. Correct one of them, or use `rename=[({name!r}, 'NEW')]`."
        )


def read_classes(file: Path) -> tuple[str, ...]:
    """Read a vocabulary: one class per line, in column order.

    Blank lines and blanks around a name are ignored; names are normalized (`canonical`), as
    are those of a set.

    Args:
        file: UTF-8, with or without a byte order mark.

    Returns:
        The classes.

    Raises:
        LabelError: it cannot be read, is not UTF-8, has no classes, a duplicate, or a name that
            cannot be a column (see `name_fault`).
    """
    lines: dict[str, int] = {}
    for number, line in enumerate(_read_lines(file), start=1):
        name = canonical(line.strip())
        if name in lines:
            raise LabelError(f"{file}: {name!r} on lines {lines[name]} and {number}. Keep one.")
        if name:
            if fault := name_fault(name):
                raise LabelError(f"{file}, line {number}: {fault}")
            lines[name] = number
    if not lines:
        raise LabelError(f"{file}: no classes. Write one per line.")
    return tuple(lines)


def _read_lines(file: Path) -> list[str]:
    try:
        if file.stat().st_size > _LARGEST_FILE:
            raise LabelError(f"{file}: more than {_LARGEST_FILE >> 20} MiB: not a list of classes.")
        text = read_regular(file).decode("utf-8-sig")
    except OSError as error:
        raise LabelError(f"{file}: cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise LabelError(f"{file}: not UTF-8 at byte {error.start}. Save it as UTF-8.") from None
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def encode(sample: Sample, classes: Sequence[str]) -> NDArray[np.int8]:
    """Encode one image's class names as its row of the label matrix.

    Args:
        sample: the image.
        classes: the vocabulary, in column order.

    Returns:
        int8, shape (len(classes),): 1 where the class is present, -1 where it has only
        'difficult' instances, else 0.

    Raises:
        LabelError: the image has a class that is not in `classes`.
    """
    columns = _columns(tuple(classes))
    row = np.zeros(len(classes), dtype=np.int8)
    for names, value in ((sample.present, 1), (sample.difficult, -1)):
        for name in names:
            column = columns.get(name)
            if column is None:
                raise LabelError(
                    f"{shown(sample.path)}: class {name!r} is not among the {len(classes)} "
                    "classes. Add it to the `classes` file, or omit `classes`."
                )
            row[column] = value
    return row


@lru_cache(maxsize=8)
def _columns(classes: tuple[str, ...]) -> Mapping[str, int]:
    """Column of each class; cached, because a whole set is encoded with the same classes."""
    return {name: column for column, name in enumerate(classes)}
