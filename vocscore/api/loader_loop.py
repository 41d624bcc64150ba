"""One loop over a loader: where it is, how it ends, and what it left out."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vocscore.errors import LoaderError

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from typing_extensions import Self

    from vocscore.pipeline.batch import Batch


@dataclass(frozen=True, slots=True)
class SkippedImage:
    """An image that was left out of its batch.

    Attributes:
        row: its row number.
        path: its name, as in `BatchLoader.paths`.
        reason: the stable code, such as 'truncated'.
        detail: one line for a person.
    """

    row: int
    path: str
    reason: str
    detail: str


@dataclass(slots=True)
class Position:
    """Where a loop is, or where the next one begins.

    Attributes:
        epoch: from 1, if nothing else is chosen.
        done: its batches that were handed out or left out.
        begun: a loop over the epoch was begun and is not at its end: the next loop is over the
            next epoch.
    """

    epoch: int = 1
    done: int = 0
    begun: bool = False

    @classmethod
    def from_state(cls, state: Mapping[str, Any], *, batches: int) -> Position:
        """Read what `BatchLoader.state_dict` gave.

        Args:
            state: as it came back from wherever it was kept.
            batches: of an epoch.

        Raises:
            LoaderError: there is no such position.
        """
        epoch, done = state.get("epoch"), state.get("batches_done")
        if isinstance(epoch, int) and isinstance(done, int) and epoch >= 0 and 0 <= done <= batches:
            return cls(epoch, done)
        raise LoaderError(f"the state is damaged: epoch {epoch!r}, batches_done {done!r}.")


class Loop:
    """One loop over a loader; where nobody holds it any more, its threads end."""

    def __init__(self, batches: Generator[Batch]) -> None:
        """Start nothing: that is done when the first batch is asked for."""
        self._batches = batches
        self._retired = False

    def __iter__(self) -> Self:
        """Hand out the iterator itself."""
        return self

    def __next__(self) -> Batch:
        """Wait for the next batch."""
        if self._retired:
            raise LoaderError(
                "this loop over the loader was ended: a newer one was begun, another epoch was "
                "chosen, or the loader was closed. Open a second loader to go through it twice "
                "at a time."
            )
        return next(self._batches)

    def retire(self) -> None:
        """Stop; to ask for more is an error."""
        self._retired = True
        with suppress(ValueError):  # another thread waits for a batch right now
            self._batches.close()
