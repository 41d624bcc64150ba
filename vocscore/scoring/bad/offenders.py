"""The bad inputs of one unit, as they are kept beside its part: what, why, and where it lies."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

from shards.files import open_binary

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from shards.errors import BadImage
    from shards.sample import ImageRef


class Offender(NamedTuple):
    """One bad input.

    Attributes:
        path: its name in the output.
        reason: the stable code.
        detail: one line for a person.
        file: that holds its bytes; '' where there are none.
        offset: where they start in it.
        size: how many there are; -1 for all to the end.
    """

    path: str
    reason: str
    detail: str
    file: str
    offset: int
    size: int


def offenders(images: Sequence[ImageRef], failures: Mapping[int, BadImage]) -> Iterator[Offender]:
    """List the failed rows of a unit, in their order."""
    for row, why in sorted(failures.items()):
        ref = images[row]
        file = ref.file if ref.fault is None else ""
        yield Offender(ref.name, str(why.reason), why.detail, file, ref.offset, ref.size)


def encoded(found: Iterable[Offender]) -> bytes:
    """A JSON list a line: every name comes back, line ends and bytes that are no text included."""
    return "".join(json.dumps(list(offender)) + "\n" for offender in found).encode("ascii")


def read(file: Path) -> Iterator[Offender]:
    """Read what `encoded` wrote; a file that is not there has none.

    Raises:
        OSError: it cannot be read.
    """
    try:
        with open_binary(file) as lines:
            for line in lines:
                yield Offender(*json.loads(line))
    except FileNotFoundError:
        return
