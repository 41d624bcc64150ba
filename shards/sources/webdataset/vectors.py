"""Says what the numbers of a set's labels mean: one per class, or indices of classes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from shards.sources.webdataset.values import BadValueError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_FLAGS: Final = frozenset({-1.0, 0.0, 1.0})


class UnknownClassError(Exception):
    """A class index has no name; `str()` gives the index."""


def are_flags(vectors: Iterable[Sequence[float]], classes: int) -> bool:
    """Whether vectors have a number per class (multi-hot) rather than class indices.

    They do if one of them has the length of the classes and repeats a number, which no list of
    indices does, or if all have that length. Vectors with a number that is neither, such as 0.5 or
    NaN, do not count.

    Args:
        vectors: the numbers of each sample.
        classes: number of classes.
    """
    every, some = True, False
    for numbers in vectors:
        if not all(map(float.is_integer, numbers)):
            continue
        fits = len(numbers) == classes > 1 and _FLAGS.issuperset(numbers)
        every = every and fits
        some = some or (fits and len(set(numbers)) < classes)
    return every or some


def other_length(vectors: Sequence[Sequence[float]]) -> int:
    """The length of vectors that look like a number per class, all of one length; else 0.

    At least one repeats a number, as no list of indices does.
    """
    lengths = set(map(len, vectors))
    if len(lengths) != 1 or not all(map(_FLAGS.issuperset, vectors)):
        return 0
    repeated = any(len(set(numbers)) < len(numbers) for numbers in vectors)
    return lengths.pop() if repeated else 0


def present_and_difficult(
    numbers: Sequence[float], names: Sequence[str], *, flags: bool
) -> tuple[set[str], set[str]]:
    """The classes that are present, and those with only 'difficult' instances (-1).

    Args:
        numbers: of one sample.
        names: the classes by index.
        flags: the result of `are_flags` for the set.

    Raises:
        BadValueError: the vector does not have one number per class, or others than 1, 0 and -1.
        UnknownClassError: an index has no name.
    """
    if flags:
        if len(numbers) != len(names):
            raise BadValueError(f"{len(numbers)} numbers for {len(names)} classes")
        if odd := [one for one in numbers if one not in _FLAGS]:
            raise BadValueError(f"{odd[0]:g} where 1, 0 or -1 must be")
        marked = list(zip(names, numbers, strict=True))
        return {n for n, one in marked if one > 0}, {n for n, one in marked if one < 0}
    for one in numbers:
        if not one.is_integer():
            raise BadValueError(f"{one:g} is not a class index")
        if not 0 <= one < len(names):
            raise UnknownClassError(f"{one:g}")
    return {names[int(one)] for one in numbers}, set()
