"""Where shards begin and end: a function of what was found out about each image, and nothing else.

So images may be checked, and shards written, in any order and place.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from shards.errors import Fault
from shards.manifest import shard_name
from shards.sample import Rejection

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from shards.packing.journal import ShardRecord
    from shards.packing.prepare import Candidate


class Made(NamedTuple):
    """Where the bytes lie that were made of an image when it was checked.

    Attributes:
        file: name of a file in the stage.
        offset: of the first byte.
        size: bytes.
    """

    file: str
    offset: int
    size: int


class Accepted(NamedTuple):
    """An image that was checked and is stored: all of `PreparedSample` but name and bytes.

    Attributes:
        extension: see `PreparedSample`, as for the following.
        width: pixels.
        height: pixels.
        sha256: of the bytes to store, hexadecimal.
        original: width and height, pixels, if the image was resized.
        made: where the bytes to store are; None if they are those of the source.
    """

    extension: str
    width: int
    height: int
    sha256: str
    original: tuple[int, int] | None = None
    made: Made | None = None


Verdict: TypeAlias = Accepted | Fault


@dataclass(frozen=True, slots=True)
class Span:
    """The images of one shard.

    Attributes:
        split: its split.
        name: file name of the tar.
        serial: serial number of its first sample.
        images: the candidates that it stores, with what is known about them.
        next: index, from 0, of the split's candidate that begins the next shard.
        rejected: images left out since the previous shard.
    """

    split: str
    name: str
    serial: int
    images: tuple[tuple[Candidate, Accepted], ...]
    next: int
    rejected: tuple[Rejection, ...]


class Borders:
    """Divides a split into shards of equal size, the last one possibly smaller.

    Args:
        split: its name.
        candidates: of the split, in order.
        shard_samples: images per shard.
        records: the shards of this split that are finished, in order.

    Attributes:
        next: index of the next candidate, from 0.
        rejected: the images left out, including those of earlier runs.
    """

    def __init__(
        self,
        split: str,
        candidates: Sequence[Candidate],
        *,
        shard_samples: int,
        records: Sequence[ShardRecord],
    ) -> None:
        """Continue after the finished shards."""
        self._split = split
        self._candidates = candidates
        self._shard_samples = shard_samples
        self.next = records[-1].next if records else 0
        self.rejected = [bad for record in records for bad in record.rejected]
        self._noted = len(self.rejected)
        self._serial = sum(record.shard.samples for record in records)
        self._shards = len(records)
        self._images: list[tuple[Candidate, Accepted]] = []

    def take(self, start: int, verdicts: Iterable[Verdict]) -> Iterator[Span]:
        """Go on with the verdicts on the candidates from `start` on; known ones are skipped."""
        for at, verdict in enumerate(verdicts, start):
            if at < self.next:
                continue
            self.next += 1
            candidate = self._candidates[at]
            if isinstance(verdict, Fault):
                self.rejected.append(Rejection(candidate.sample.path, verdict))
                continue
            self._images.append((candidate, verdict))
            if len(self._images) == self._shard_samples:
                yield self._cut()

    def end(self) -> Iterator[Span]:
        """The last shard, if it has any image."""
        if self._images:
            yield self._cut()

    def _cut(self) -> Span:
        span = Span(
            split=self._split,
            name=shard_name(self._split, self._shards),
            serial=self._serial,
            images=tuple(self._images),
            next=self.next,
            rejected=tuple(self.rejected[self._noted :]),
        )
        self._images = []
        self._serial += len(span.images)
        self._shards += 1
        self._noted = len(self.rejected)
        return span
