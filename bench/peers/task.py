"""The loaders' common task, the interface of a loader, and checks that loaders do equal work."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, NamedTuple, Protocol, TypeVar

import torch

from bench.outcome import OWN
from bench.timing import Timed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from contextlib import ExitStack
    from pathlib import Path

    from shards.sample import ImageRef
    from vocscore.pipeline.preprocess import Preprocess

NOT_INSTALLED = "not installed: pip install 'vocscore[bench]'"


@dataclass(frozen=True)
class Task:
    """Files to normalized batches in main memory.

    Attributes:
        refs: loose files; the position in this list is the row number.
        preprocess: size, mean and std. Images are not turned upright: the usual loader does not.
        batch: images per batch.
        workers: processes or threads of each contestant: the cores.
        scratch: an empty folder for a contestant that needs the images in another form.
    """

    refs: Sequence[ImageRef]
    preprocess: Preprocess
    batch: int
    workers: int
    scratch: Path

    @property
    def files(self) -> list[str]:
        """The paths, in the order of the rows."""
        return [ref.file for ref in self.refs]


class ReadyBatch(NamedTuple):
    """A batch as a network takes it.

    Attributes:
        images: float32, shape (N, 3, size, size), RGB, (pixel / 255 - mean) / std.
        rows: the N row numbers.
    """

    images: torch.Tensor
    rows: Sequence[int]


class Loader(ABC):
    """A contestant: opened once, it loads all images in every turn."""

    @abstractmethod
    def batches(self) -> Iterator[ReadyBatch]:
        """Every image once, in any order.

        The clock runs from the first `next` to the last batch. The call itself is not timed: it may
        build a pipeline but must not read an image. No work may continue after the iterator's end,
        because the next turn is another contestant's.
        """

    def close(self) -> None:  # noqa: B027 - most have nothing to close
        """End workers and threads."""


class AbsentError(Exception):
    """A contestant cannot run here; the message is the reason, in one line."""


class _Closes(Protocol):
    def close(self) -> None: ...


Peer = TypeVar("Peer", bound=_Closes)
Answers = TypeVar("Answers")


def open_or_say(opener: Callable[[], Peer]) -> Peer | str:
    """Open a contestant; if it cannot run, return the reason in one line."""
    try:
        return opener()
    except AbsentError as error:
        return str(error)
    except ImportError as error:
        return f"{NOT_INSTALLED} ({error})"


@dataclass(frozen=True)
class Agreeing(Generic[Peer]):
    """Contestants that do the same work, by name.

    Attributes:
        opened: the first, and those that agree with it.
        absent: why others take no part, in one line.
        differences: of each to the first.
    """

    opened: dict[str, Peer]
    absent: dict[str, str]
    differences: dict[str, float]


def open_agreeing(
    openers: Mapping[str, Callable[[], Peer]],
    stack: ExitStack,
    *,
    answers: Callable[[Peer], Answers],
    difference: Callable[[Answers, Answers], float],
    most: float,
    unit: str,
) -> Agreeing[Peer]:
    """Open contestants in order, and keep those whose answers agree with the first one's.

    The stack closes them all. `most` is the largest difference of answers that are the same work,
    and `unit` its unit.

    Raises:
        ValueError: the first, or one of vocscore's own, is wrong: a bug, not an absent peer.
    """
    found: Agreeing[Peer] = Agreeing({}, {}, {})
    truth = None
    for name, opener in openers.items():
        peer, own = open_or_say(opener), name.startswith(OWN)
        if isinstance(peer, str):
            found.absent[name] = peer
            continue
        stack.callback(peer.close)
        try:
            answer = answers(peer)
        except Exception as error:
            # any error: a peer raises what its libraries do
            if truth is None or own:
                raise
            first = str(error).strip().partition("\n")[0]
            found.absent[name] = f"failed on these images: {type(error).__name__}: {first}"
            continue
        truth = answer if truth is None else truth
        found.differences[name] = apart = difference(answer, truth)
        if apart <= most:
            found.opened[name] = peer
            continue
        found.absent[name] = f"not the same work: {apart:.3g} {unit} (at most {most})"
        if own:
            raise ValueError(f"{name}: {found.absent[name]}")
    return found


def pixel_values(loader: Loader, task: Task) -> torch.Tensor:
    """Load all images and undo the normalization: uint8 (N, 3, size, size), in order of rows."""
    size = task.preprocess.size
    values = torch.empty((len(task.refs), 3, size, size), dtype=torch.uint8)
    mean = torch.tensor(task.preprocess.mean).view(1, 3, 1, 1)
    std = torch.tensor(task.preprocess.std).view(1, 3, 1, 1)
    seen: list[int] = []
    for ready in loader.batches():
        shape, found = (len(ready.rows), 3, size, size), ready.images
        if tuple(found.shape) != shape or found.dtype != torch.float32:
            raise ValueError(f"a batch is {found.dtype} {tuple(found.shape)}, not float32 {shape}")
        pixels = (found * std + mean) * 255
        values[list(ready.rows)] = pixels.round().clamp(0, 255).to(torch.uint8)
        seen += ready.rows
    check_rows(seen, task)
    return values


def mean_difference(values: torch.Tensor, truth: torch.Tensor) -> float:
    """Mean absolute difference, gray levels, of two results of `pixel_values`."""
    # one image at a time: int32 differences take four times the memory of the pixels
    total = sum(int((a.int() - b.int()).abs().sum()) for a, b in zip(values, truth, strict=True))
    return total / truth.numel()


def turn(loader: Loader, task: Task) -> Timed:
    """Load all images; the clock stops at the last batch."""
    batches = loader.batches()
    seen: list[int] = []
    stopped = started = time.perf_counter()
    for ready in batches:
        seen += ready.rows
        stopped = time.perf_counter()
    check_rows(seen, task)
    return Timed(len(seen), stopped - started)


def check_rows(seen: Sequence[int], task: Task) -> None:
    """Raise a ValueError if a row was lost or came twice."""
    if sorted(seen) != list(range(len(task.refs))):
        raise ValueError(f"{len(set(seen))} different rows of {len(task.refs)} came, {len(seen)}")
