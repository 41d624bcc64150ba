"""Work that sleeps: simulates more cores than this machine has.

The work that releases Python's lock (libjpeg-turbo's and torch's) is measured, and then replaced by
a sleep of the same length, which releases the lock as well. All that is Python stays: reading,
headers, verdicts, tasks, batches, rows. So two cores carry as many threads as the lock allows.
"""

from __future__ import annotations

import ctypes
import itertools
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from unittest import mock

import numpy as np
import simplejpeg

from vocscore.models.card_file import load_card
from vocscore.pipeline import host
from vocscore.runtime import scorer
from vocscore.runtime.base import Results, Runtime

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    import torch

GROUP_SECONDS = 0.001
"""That the network sleeps for a group of 32 images."""
_SLACK = 29  # PR_SET_TIMERSLACK, of Linux


@dataclass
class Unlocked:
    """The two calls that do their work without Python's lock, per image.

    Attributes:
        decode, resize: CPU seconds of each call that was measured.
        late: seconds by which a sleep ends too late.
    """

    decode: list[float] = field(default_factory=list)
    resize: list[float] = field(default_factory=list)
    late: float = 0.0

    @property
    def seconds(self) -> float:
        """Of both, the mean of all images."""
        return float(np.mean(self.decode) + np.mean(self.resize))

    @contextmanager
    def measured(self) -> Iterator[None]:
        """Measure them while the block runs; what was measured before is dropped."""
        self.decode, self.resize = [], []
        decode, resize = simplejpeg.decode_jpeg, host.FILTERS["bilinear"]
        with _replaced(clocked(decode, self.decode), clocked(resize, self.resize)):
            yield

    @contextmanager
    def slept(self, share: float = 1.0) -> Iterator[None]:
        """Sleep instead of them while the block runs, for a share of the time."""
        pixels = np.zeros((375, 500, 3), np.uint8)

        def sleeping(measured: list[float]) -> Callable[..., Any]:
            seconds = itertools.cycle([max(0.0, share * one - self.late) for one in measured])

            def call(*_words: Any, **_options: Any) -> Any:
                _sleep(next(seconds))
                return pixels  # of a decoder; the result of a resizer is not used

            return call

        with _replaced(sleeping(self.decode), sleeping(self.resize)):
            yield


def clocked(work: Callable[..., Any], found: list[float]) -> Callable[..., Any]:
    """The same function, which notes the CPU seconds of each call."""

    def call(*words: Any, **options: Any) -> Any:
        started = time.thread_time()
        result = work(*words, **options)
        found.append(time.thread_time() - started)
        return result

    return call


def exact_sleeps() -> float:
    """Ask the system not to lengthen the sleeps of this thread and of those that it starts.

    Returns:
        Seconds by which a sleep of half a millisecond still ends too late.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_SLACK, 1)
    late = []
    for _ in range(200):
        started = time.perf_counter()
        time.sleep(0.0005)
        late.append(time.perf_counter() - started - 0.0005)
    return float(np.median(late))


def _sleep(seconds: float) -> None:
    if seconds:
        time.sleep(seconds)


@contextmanager
def _replaced(decode: Callable[..., Any], resize: Callable[..., Any]) -> Iterator[None]:
    with (
        mock.patch.object(simplejpeg, "decode_jpeg", decode),
        mock.patch.dict(host.FILTERS, bilinear=resize),
    ):
        yield


class SleepingNetwork(Runtime):
    """A `Runtime` that takes `GROUP_SECONDS` per batch, one after another."""

    def __init__(self, classes: int) -> None:
        self._classes = classes
        self._free = 0.0

    def submit(self, images: torch.Tensor) -> Results:
        """Return a function that waits until this batch would be through."""
        self._free = ends = max(self._free, time.perf_counter()) + GROUP_SECONDS

        def results() -> Any:
            _sleep(max(0.0, ends - time.perf_counter()))
            return np.full((len(images), self._classes), 0.25, np.float32)

        return results


def sleeping_network() -> AbstractContextManager[object]:
    """Score with a `SleepingNetwork` while the block runs."""

    def opened(folder: Path, **_options: Any) -> tuple[Runtime, Any]:
        card = load_card(folder)
        return SleepingNetwork(len(card.classes)), card

    return mock.patch.object(scorer, "open_scorer", opened)
