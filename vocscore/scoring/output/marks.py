"""The mark of a unit: the only point at which a process that scores beside others commits.

    part-000005-0123456789abcdef.csv   the rows of unit 5: 16 digits of their SHA-256 hash
    bad-..., stamps-..., features-...  what belongs to them, named the same way
    mark-RUN-000005.json               which of these files stand, with their hashes and sizes

The name of a part is its content, so writing it again is harmless. The mark is created only where
there is none. So of several processes that score one unit, one commits, whenever the others are
killed, suspended or told nothing. RUN is drawn when a run begins: a mark that a process of an
earlier run writes late is none of the next run.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from vocscore.scoring.output.unit_record import UnitRecord

if TYPE_CHECKING:
    from collections.abc import Mapping

PART: Final = "part"
BAD: Final = "bad"
STAMPS: Final = "stamps"
FEATURES: Final = "features"
_CHECK: Final = "check"
_OURS: Final = re.compile(
    r"(part|bad|stamps|features)-\d{6,}-[0-9a-f]{16}\.[a-z]+"
    r"|mark-[0-9a-f]+-\d{6,}\.json|other-[0-9a-f]+-\d{6,}-[0-9a-f]{16}\.json"
    r"|(started|array)-[0-9a-f]+\.json|listing-[0-9a-f]{16}|plan\.json"
)


@dataclass(frozen=True, slots=True)
class Stored:
    """A file that a mark names.

    Attributes:
        name: of the file.
        sha256: of its bytes, hexadecimal.
        size: their number.
    """

    name: str
    sha256: str
    size: int

    @classmethod
    def of(cls, role: str, number: int, data: bytes, suffix: str) -> Stored:
        """Name the bytes of a unit in one role."""
        sha256 = hashlib.sha256(data).hexdigest()
        return cls(f"{role}-{number:06d}-{sha256[:16]}{suffix}", sha256, len(data))

    def is_of(self, sha256: str, size: int) -> bool:
        """Whether a file with this hash and size is the one that was stored."""
        return (self.sha256, self.size) == (sha256, size)


@dataclass(frozen=True, slots=True)
class Mark:
    """A committed unit.

    Attributes:
        record: its counts.
        files: role -> its file; a unit without bad inputs has none for them.
        attempt: drawn by the process for this commit, so that it recognizes its own mark.
    """

    record: UnitRecord
    files: Mapping[str, Stored]
    attempt: str

    def to_bytes(self) -> bytes:
        """The file; the digits of a hash in it are of all the rest."""
        files = {
            role: {"name": one.name, "sha256": one.sha256, "size": one.size}
            for role, one in self.files.items()
        }
        value = {**self.record.to_json(), "files": files, "attempt": self.attempt}
        return json.dumps({**value, _CHECK: _digits(value)}).encode("ascii")

    @classmethod
    def from_bytes(cls, data: bytes) -> Mark:
        """The inverse of `to_bytes`.

        Raises:
            ValueError, KeyError, TypeError: it is not a mark, or not as it was written.
        """
        value: dict[str, Any] = dict(json.loads(data))
        if value.pop(_CHECK) != _digits(value):
            raise ValueError("its hash is another one")
        files = {role: Stored(**one) for role, one in value["files"].items()}
        return cls(UnitRecord.from_json(value), files, value["attempt"])

    def has_rows_of(self, other: Mark) -> bool:
        """Whether both commit the same bytes."""
        return self.files == other.files


def _digits(value: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(value).encode("ascii")).hexdigest()[:16]


def mark_name(run: str, number: int) -> str:
    """The name of the mark of a unit."""
    return f"mark-{run}-{number:06d}.json"


def marked(run: str, name: str) -> int | None:
    """The number of the unit whose mark has this name; None if it is not a mark of the run."""
    found = re.fullmatch(rf"mark-{run}-(\d{{6,}})\.json", name)
    return int(found[1]) if found else None


def other_name(run: str, number: int, mine: Mark) -> str:
    """The name of a file that says: a mark stood when a process had other rows of its unit."""
    return f"other-{run}-{number:06d}-{mine.files[PART].sha256[:16]}.json"


def differing(run: str, name: str) -> int | None:
    """The number of the unit of which a file of this name tells; None if it is none of the run."""
    found = re.fullmatch(rf"other-{run}-(\d{{6,}})-[0-9a-f]{{16}}\.json", name)
    return int(found[1]) if found else None


def is_ours(name: str) -> bool:
    """Whether a run of several processes wrote a file of this name, in this run or before."""
    return _OURS.fullmatch(name) is not None
