"""What passes between the driver, which hands out work, and its workers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping


class Item(Protocol):
    """A piece of work; it can be pickled."""

    @property
    def number(self) -> int:
        """Its number; no other item of the run has it."""


class Work(Protocol):
    """An opened `Job`."""

    @property
    def about(self) -> str:
        """How the work is done, where this was the worker's choice: the class of its loader."""

    @property
    def kind(self) -> Mapping[str, str]:
        """What its results depend on, apart from the job: versions, processor, arithmetic."""

    def run(self, items: Iterator[Any]) -> Generator[Partial | Done]:
        """Work on every item; stopped by closing the generator."""

    def close(self) -> None:
        """Free what `open` has opened."""


class Job(Protocol):
    """Everything that a worker needs to begin; it can be pickled."""

    @property
    def device(self) -> str:
        """The device it will use, for messages."""

    def open(self) -> Work:
        """Load what the work needs; called in the worker."""


@dataclass(frozen=True, slots=True)
class Ready:
    """A worker has loaded everything, and can be handed items.

    Attributes:
        about: see `Work`.
        kind: see `Work`.
    """

    about: str
    kind: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Partial:
    """An item has progressed.

    Attributes:
        number: number of the item.
        value: of the work's own type.
    """

    number: int
    value: Any


@dataclass(frozen=True, slots=True)
class Done:
    """An item is finished.

    Attributes:
        number: number of the item.
        value: its result, of the work's own type.
    """

    number: int
    value: Any


@dataclass(frozen=True, slots=True)
class Raised:
    """An error of the work; the driver raises it again.

    Attributes:
        error: the exception.
        traceback: its traceback as text, for unexpected errors.
    """

    error: BaseException
    traceback: str

    def raise_again(self) -> NoReturn:
        """Raise the error, with the other traceback as its cause."""
        raise self.error from _Elsewhere(self.traceback)


@dataclass(frozen=True, slots=True)
class Gone:
    """A worker has died.

    Attributes:
        node: the machine that was lost with it; empty if only its process died.
    """

    node: str = ""


class _Elsewhere(Exception):  # noqa: N818 - not an error, but the place of one
    """Has the traceback of another process."""

    def __str__(self) -> str:
        """Return the traceback, on a new line after the exception's name."""
        return f"\n{self.args[0]}"


Message: TypeAlias = Ready | Partial | Done | Raised | Gone
