"""Matches the paths of two lists of the same images, relative to different folders."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from vocscore.errors import EvalError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_SEVERAL = -1


@dataclass(frozen=True, slots=True)
class Matches:
    """Matches between the paths of two lists.

    Attributes:
        pairs: index in the labeled list -> index in the predicted list.
        exact: the paths were equal; else they were matched by their endings.
    """

    pairs: Mapping[int, int]
    exact: bool


def match_paths(labeled: Sequence[str], predicted: Sequence[str]) -> Matches:
    """Match two lists of paths.

    Equal paths match. If no paths are equal, the folder that was scored is not the one that was
    packed, and paths are compared from their ends: two paths match when each is the only one of
    its list that shares the longest run of last folders and file name with the other.
    `2007_000027.jpg` then matches `JPEGImages/2007_000027.jpg`, if no other path ends this way.

    Args:
        labeled: with '/' between folders, without duplicates.
        predicted: the same.

    Returns:
        The matches; a path of either list may have none.

    Raises:
        EvalError: nothing matches, or a file name is ambiguous.
    """
    places = {path: j for j, path in enumerate(predicted)}
    equal = {i: places[path] for i, path in enumerate(labeled) if path in places}
    if equal:
        return Matches(equal, exact=True)
    pairs = _match_ends(labeled, predicted)
    if not pairs:
        raise EvalError(
            f"no predicted path matches a labeled one (predicted: {_first(predicted)}; labeled: "
            f"{_first(labeled)}). Score the folder that was packed."
        )
    return Matches(pairs, exact=False)


def _match_ends(labeled: Sequence[str], predicted: Sequence[str]) -> dict[int, int]:
    labeled_ends, predicted_ends = _ends(labeled), _ends(predicted)
    pairs = {}
    for i, path in enumerate(labeled):
        j = _nearest(path, predicted_ends)
        if j not in (None, _SEVERAL) and _nearest(predicted[j], labeled_ends) == i:
            pairs[i] = j
    _refuse_doubt(labeled, predicted, pairs=pairs)
    return pairs


def _refuse_doubt(
    labeled: Sequence[str], predicted: Sequence[str], *, pairs: Mapping[int, int]
) -> None:
    """Refuse unmatched paths with the same file name on both sides: they may be the same image."""
    taken = set(pairs.values())
    left = {_name(path): path for j, path in enumerate(predicted) if j not in taken}
    for i, path in enumerate(labeled):
        if i not in pairs and _name(path) in left:
            raise EvalError(
                f"the predicted path {left[_name(path)]!r} may or may not be the labeled "
                f"{path!r}: several paths have this ending. Score the folder that was packed."
            )


def _ends(paths: Sequence[str]) -> dict[str, int]:
    """Map every ending of every path to its index, or to `_SEVERAL`."""
    ends: dict[str, int] = {}
    for position, path in enumerate(paths):
        for end in _endings(path):
            ends[end] = _SEVERAL if end in ends else position
    return ends


def _nearest(path: str, ends: Mapping[str, int]) -> int | None:
    """The index of the path that shares the longest ending with this one."""
    return next((ends[end] for end in _endings(path) if end in ends), None)


def _endings(path: str) -> Iterator[str]:
    """The path, then without its first folder, and so on down to the file name."""
    yield path
    while "/" in path:
        path = path.partition("/")[2]
        yield path


def _name(path: str) -> str:
    return path.rpartition("/")[2]


def _first(paths: Sequence[str]) -> str:
    return repr(paths[0]) if paths else "none"
