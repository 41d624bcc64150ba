"""Stores the bad inputs of one unit beside its part: name, fault and location."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

from shards.files import open_binary
from shards.remote.places import has_secret

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from shards.errors import Fault
    from shards.sample import ImageRef


class BadRecord(NamedTuple):
    """One bad input.

    Attributes:
        path: its name in the output.
        reason: stable code of the reason.
        detail: one line for the user.
        file: file with its bytes; '' if there are none.
        offset: offset of its bytes in the file.
        size: number of bytes; -1 for all to the end of the file.
    """

    path: str
    reason: str
    detail: str
    file: str
    offset: int
    size: int


def bad_records(images: Sequence[ImageRef], failures: Mapping[int, Fault]) -> Iterator[BadRecord]:
    """Yield the failed rows of a unit, in order."""
    for row, fault in sorted(failures.items(), key=lambda failure: failure[0]):
        ref = images[row]
        # A signed address is stored nowhere, so such an input is listed but not copied.
        file = "" if ref.fault is not None or has_secret(ref.file) else ref.file
        yield BadRecord(ref.name, str(fault.reason), fault.detail, file, ref.offset, ref.size)


def encoded(found: Iterable[BadRecord]) -> bytes:
    """Encode as one JSON list per line; names with line ends or invalid UTF-8 are preserved."""
    return "".join(json.dumps(list(bad)) + "\n" for bad in found).encode("ascii")


def read(file: Path) -> Iterator[BadRecord]:
    """Read the output of `encoded`; yield nothing if the file does not exist.

    Raises:
        OSError: it cannot be read.
    """
    try:
        with open_binary(file) as lines:
            for line in lines:
                yield BadRecord(*json.loads(line))
    except FileNotFoundError:
        return
