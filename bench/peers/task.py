"""The one task that all loaders are given, and what a loader is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    import torch

    from shards.sample import ImageRef
    from vocscore.pipeline.preprocess import Preprocess

Opened = TypeVar("Opened")
NOT_INSTALLED = "not installed: pip install 'vocscore[bench]'"


@dataclass(frozen=True)
class Task:
    """Files to normalized batches in main memory.

    Attributes:
        images: loose files; the position in this list is the row number.
        preprocess: size, mean and std. Images are not turned upright: the usual loader does not.
        batch: images a batch.
        workers: processes or threads that each contestant gets: the cores.
        scratch: an empty folder for a contestant that needs the images in another form.
    """

    images: Sequence[ImageRef]
    preprocess: Preprocess
    batch: int
    workers: int
    scratch: Path

    @property
    def files(self) -> list[str]:
        """The paths, in the order of the rows."""
        return [image.file for image in self.images]


class Ready(NamedTuple):
    """A batch as a network takes it.

    Attributes:
        images: float32, shape (N, 3, size, size), RGB, (pixel / 255 - mean) / std.
        rows: the N row numbers.
    """

    images: torch.Tensor
    rows: Sequence[int]


class Loader(Protocol):
    """A contestant: opened once, it goes through all images as often as it is asked to."""

    def batches(self) -> Iterator[Ready]:
        """Every image once, in whatever order.

        The clock runs from the first `next` to the last batch. What the call itself does is not
        timed (a pipeline may be built), but it must not read an image; and once the iterator has
        ended, nothing goes on working: the next turn is another contestant's.
        """
        ...

    def close(self) -> None:
        """End workers and threads."""
        ...


class AbsentError(Exception):
    """A peer cannot run here; its text is the reason, one line."""


def open_or_say(opener: Callable[[], Opened]) -> Opened | str:
    """Open a peer; where it cannot run, the reason in one line."""
    try:
        return opener()
    except AbsentError as error:
        return str(error)
    except ImportError as error:
        return f"{NOT_INSTALLED} ({error})"
