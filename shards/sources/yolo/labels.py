"""Parses the labels of one image of a YOLO data set: one object per line, its class first."""

from __future__ import annotations

import math
from typing import Final

_BOX: Final = 5
"""Numbers of a line: class, x and y of the center, width, height."""


class BadLabelsError(Exception):
    """A label file cannot be used; `str()` gives line and reason, but not the file."""


class UnknownClassError(Exception):
    """A label file has a class without a name; `str()` gives line and class, but not the file."""


def parse_labels(data: bytes, classes: int, *, keypoints: int = 0) -> set[int]:
    """Find the classes that are present.

    Args:
        data: lines of a class and a box (4 numbers), a polygon or an oriented box (3 or more
            points), or a box and `keypoints` numbers.
        classes: number of classes.
        keypoints: numbers that follow the box, for pose estimation.

    Raises:
        BadLabelsError: not text, not numbers, or another number of them.
        UnknownClassError: a class index is not in 0 to `classes` - 1.
    """
    try:
        lines = data.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise BadLabelsError(f"not text (byte {error.start})") from None
    found: set[int] = set()
    for number, line in enumerate(lines, start=1):
        if fields := line.split():
            found.add(_class(fields, number, classes, keypoints))
    return found


def _class(fields: list[str], line: int, classes: int, keypoints: int) -> int:
    try:
        values = list(map(float, fields))
    except ValueError:
        values = [math.nan]
    if not all(map(math.isfinite, values)):
        raise BadLabelsError(f"line {line}: not numbers")
    count = len(values)
    if keypoints and count != _BOX + keypoints:
        raise BadLabelsError(
            f"line {line}: {count} numbers, not a class, a box and {keypoints} for keypoints"
        )
    if not keypoints and count == _BOX + 1:
        raise BadLabelsError(f"line {line}: 6 numbers: a prediction with its confidence")
    if not keypoints and (count < _BOX or count % 2 == 0):
        raise BadLabelsError(f"line {line}: {count} numbers, not a class and a box or polygon")
    if not values[0].is_integer():
        raise BadLabelsError(f"line {line}: class {fields[0]} is not a whole number")
    if not 0 <= values[0] < classes:
        raise UnknownClassError(f"line {line}: class {fields[0]}")
    return int(values[0])
