"""The bad inputs of one unit, as stored beside its part: the name, the fault, and where it is."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

from shards.files import open_binary

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from shards.errors import Fault
    from shards.sample import ImageRef


class BadRecord(NamedTuple):
    """One bad input.

    Attributes:
        path: its name in the output.
        reason: the stable code.
        detail: one line for a person.
        file: that contains its bytes; '' where there are none.
        offset: where they start in it.
        size: how many there are; -1 for all to the end.
    """

    path: str
    reason: str
    detail: str
    file: str
    offset: int
    size: int


def bad_records(images: Sequence[ImageRef], failures: Mapping[int, Fault]) -> Iterator[BadRecord]:
    """List the failed rows of a unit, in their order."""
    for row, fault in sorted(failures.items(), key=lambda failure: failure[0]):
        ref = images[row]
        file = ref.file if ref.fault is None else ""
        yield BadRecord(ref.name, str(fault.reason), fault.detail, file, ref.offset, ref.size)


def encoded(found: Iterable[BadRecord]) -> bytes:
    """One JSON list per line: any name is read back, with line ends and bytes that are not text."""
    return "".join(json.dumps(list(bad)) + "\n" for bad in found).encode("ascii")


def read(file: Path) -> Iterator[BadRecord]:
    """Read what `encoded` wrote; nothing where the file does not exist.

    Raises:
        OSError: it cannot be read.
    """
    try:
        with open_binary(file) as lines:
            for line in lines:
                yield BadRecord(*json.loads(line))
    except FileNotFoundError:
        return
