"""One loop over a loader: its position, its end, and the skipped images."""

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
        detail: a one-line explanation.
    """

    row: int
    path: str
    reason: str
    detail: str


@dataclass(slots=True)
class Position:
    """The position of a loop, or the start of the next one.

    Attributes:
        epoch: from 1, unless chosen otherwise.
        done: number of its batches returned or left out.
        begun: a loop over the epoch has started and not ended; the next loop then takes the next
            epoch.
    """

    epoch: int = 1
    done: int = 0
    begun: bool = False

    @classmethod
    def from_state(cls, state: Mapping[str, Any], *, batches: int) -> Position:
        """Read a `BatchLoader.state_dict`.

        Args:
            state: as saved and restored by the caller.
            batches: of an epoch.

        Raises:
            LoaderError: there is no such position.
        """
        epoch, done = state.get("epoch"), state.get("batches_done")
        if isinstance(epoch, int) and isinstance(done, int) and epoch >= 0 and 0 <= done <= batches:
            return cls(epoch, done)
        raise LoaderError(f"the state is damaged: epoch {epoch!r}, batches_done {done!r}.")


class Loop:
    """One loop over a loader; its threads end when nothing refers to it any more."""

    def __init__(self, batches: Generator[Batch]) -> None:
        """Start nothing yet: threads start when the first batch is requested."""
        self._batches = batches
        self._retired = False

    def __iter__(self) -> Self:
        """Return the iterator itself."""
        return self

    def __next__(self) -> Batch:
        """Wait for the next batch."""
        if self._retired:
            raise LoaderError(
                "this loop over the loader has ended: a newer one was started, another epoch was "
                "chosen, or the loader was closed. Open a second loader to run two loops at the "
                "same time."
            )
        return next(self._batches)

    def retire(self) -> None:
        """Stop; requesting another batch is then an error."""
        self._retired = True
        with suppress(ValueError):  # another thread is waiting for a batch
            self._batches.close()
