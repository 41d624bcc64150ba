"""What the values of a column are."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any

from shards.sources.table.cells import truth

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shards.sources.hugging_face.rows import Rows


class Kind(Enum):
    """What the values of a column are."""

    TEXT = "text"
    TEXTS = "lists of text"
    NUMBER = "whole numbers"
    NUMBERS = "lists of whole numbers"
    TRUTH = "truth values"
    OTHER = "other values"


def kind_of_column(files: Sequence[Rows], name: str) -> Kind:
    """What all values of a column are; those of text files by their cells."""
    values = [value for one in files for value in one.columns[name]]
    if files[0].text:
        cells = [value for value in values if value.strip()]
        is_truth = cells and all(truth(cell) in {0, 1} for cell in cells)
        return Kind.TRUTH if is_truth else Kind.TEXT
    kinds = {kind_of(value) for value in values if value is not None}
    known = [kind for kind in kinds if kind is not None]
    if not known and kinds:
        return Kind.TEXTS  # only empty lists
    if len(known) != 1:
        return Kind.OTHER
    numbers = known == [Kind.NUMBER] and name not in files[0].names
    if numbers and {value for value in values if value is not None} <= {0, 1}:
        return Kind.TRUTH
    return known[0]


def kind_of(value: Any) -> Kind | None:
    """The kind of a single value; None for an empty list, which fits lists of any kind."""
    if isinstance(value, list):
        return _kind_of_list(value)
    kinds: dict[type, Kind] = {bool: Kind.TRUTH, str: Kind.TEXT, int: Kind.NUMBER}
    return kinds.get(type(value), Kind.OTHER)


def _kind_of_list(values: list[Any]) -> Kind | None:
    types = set(map(type, values))
    if not types:
        return None
    known = {str: Kind.TEXTS, int: Kind.NUMBERS}
    return known.get(types.pop(), Kind.OTHER) if len(types) == 1 else Kind.OTHER


def is_multi_hot(values: Sequence[Any]) -> bool:
    """Whether lists of numbers look like a 1 or 0 for each class, not like numbers of classes."""
    lists = [value for value in values if value is not None]
    even = len(lists) > 1 and len(set(map(len, lists))) == 1
    if not even or not all(set(value) <= {0, 1} for value in lists):
        return False
    return any(len(set(value)) < len(value) for value in lists)
