"""The thumbnails of a report, within a limit of bytes."""

from __future__ import annotations

import base64
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from shards.errors import BadImage
from vocscore.thumbnails.cache import Thumbnails

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from concurrent.futures import Future

    from vocscore.columns.dataset import Dataset

_AHEAD: Final = 64
"""Thumbnails that are made before they are needed."""
_TEXT_BYTES: Final = 1024
"""About what the text of a place takes."""
_START: Final = "data:image/jpeg;base64,"


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """A thumbnail.

    Attributes:
        source: a `data:` address; '' if it could not be made.
        problem: why it could not be made.
    """

    source: str
    problem: str = ""


class Album:
    """The thumbnails of a report's places for images, in order.

    Attributes:
        places: one per place; None: the place is left out, because of `most_bytes`.
        left_out: number of places that are left out.
        failed: number of different images whose thumbnail could not be made.
    """

    def __init__(self, rows: Sequence[int], places: Sequence[Thumbnail]) -> None:
        """Pad to the number of rows."""
        self.left_out = len(rows) - len(places)
        self.places = (*places, *[None] * self.left_out)
        shown = zip(rows, places, strict=False)
        self.failed = len({row for row, one in shown if one.problem})


def make_album(
    dataset: Dataset,
    rows: Sequence[int],
    side: int,
    *,
    most_bytes: int,
    progress: Callable[[int, int], None],
) -> Album:
    """Make thumbnails, in threads.

    Args:
        dataset: whose images.
        rows: of the table, one per place; a row may have several places.
        side: of the square that a thumbnail fits into, pixels.
        most_bytes: of all places, with thumbnails as text; from the first place that exceeds it on,
            they are left out.
        progress: called with the number of places done and their total.
    """
    made: dict[int, Thumbnail] = {}
    places: list[Thumbnail] = []
    spent = 0
    thumbnails = Thumbnails(dataset, kept_bytes=0)
    try:
        for row, future in _futures(thumbnails, rows, side):
            if row not in made:
                made[row] = _made(future)
            spent += len(made[row].source) + _TEXT_BYTES
            if spent > most_bytes:
                break
            places.append(made[row])
            progress(len(places), len(rows))
    finally:
        thumbnails.close()
    return Album(rows, places)


def _futures(
    thumbnails: Thumbnails, rows: Sequence[int], side: int
) -> Iterator[tuple[int, Future[bytes]]]:
    """The thumbnails in order; some are being made before they are asked for."""
    ahead: deque[tuple[int, Future[bytes]]] = deque()
    of_row: dict[int, Future[bytes]] = {}
    for row in rows:
        if row not in of_row:
            of_row[row] = thumbnails.submit(row, side)
        ahead.append((row, of_row[row]))
        if len(ahead) > _AHEAD:
            yield ahead.popleft()
    yield from ahead


def _made(future: Future[bytes]) -> Thumbnail:
    try:
        return Thumbnail(_START + base64.b64encode(future.result()).decode("ascii"))
    except BadImage as error:
        return Thumbnail("", str(error.fault))
