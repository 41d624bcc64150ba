"""The calls of a model that are in progress: their engines, and how closing ends them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from itertools import chain
from threading import Lock
from typing import TYPE_CHECKING
from weakref import WeakSet

import numpy as np

from shards.errors import Fault
from vocscore.api.inputs import entries
from vocscore.api.prediction import Block
from vocscore.api.stream import Jobs, cut, scored
from vocscore.errors import ScoreError
from vocscore.runtime.base import Runtime
from vocscore.scoring.engines.batching import FixedBatcher
from vocscore.scoring.engines.local import LocalEngine

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    import torch

    from vocscore.api.inputs import Inputs
    from vocscore.api.setup import Setup
    from vocscore.models.card import ModelCard
    from vocscore.pipeline.batch import ImageLoader
    from vocscore.runtime.base import Results


class Calls:
    """Runs the calls of a model, which share its decoding threads.

    Args:
        card: of the network.
        setup: how it was loaded.
        decoding: reads and decodes images.

    Attributes:
        decoding: the same.
        closed: whether `close` was called.
    """

    def __init__(self, card: ModelCard, setup: Setup, decoding: ImageLoader) -> None:
        self.decoding = decoding
        self.closed = False
        self._card = card
        self._setup = setup
        self._running: WeakSet[Jobs] = WeakSet()
        self._counting = Lock()
        self._process = os.getpid()

    def blocks(
        self, inputs: Inputs, fitting: Callable[[int], tuple[Runtime, int]], *, columns: int
    ) -> Generator[Block]:
        """Results from this call's own engines: they share only the loader and the network.

        Args:
            inputs: one or several, as for `Model.predict`.
            fitting: returns the network for a number of images, and its batch size.
            columns: numbers per image.

        Raises:
            ScoreError: the model is closed, or was loaded in another process.
        """
        self.refuse_unusable()
        setup, patient = self._setup, isinstance(inputs, Iterator)
        found = entries(inputs, upright=self._card.preprocess.upright, max_pixels=setup.max_pixels)
        chunks = cut(found, group=setup.group, patient=patient)
        first = next(chunks, None)
        if first is None:
            return
        runtime, group = fitting(len(first))

        def engine() -> LocalEngine:
            return LocalEngine(self.decoding, FixedBatcher(runtime, group=group), classes=columns)

        running = Jobs()
        with self._counting:
            self._running.add(running)
        every = chain([first], chunks)
        with closing(scored(every, engine, patient=patient, running=running)) as results:
            while True:
                self.refuse_unusable()
                try:
                    done = next(results, None)
                except Exception:
                    self.refuse_unusable()  # closed meanwhile: what failed is its consequence
                    raise
                if done is None:
                    return
                chunk, rows = done
                rows.probabilities[list(rows.failures)] = np.nan
                errors = {row: Fault(why.reason, why.detail) for row, why in rows.failures.items()}
                paths = [entry.path for entry in chunk.entries]
                yield Block(rows.names, paths, rows.probabilities, errors)

    def refuse_unusable(self) -> None:
        """Raise ScoreError if it is closed, or was loaded in another process."""
        if self.closed:
            raise ScoreError(f"{self._setup.run}: the model is closed. Load it again.")
        if self._process != os.getpid():
            raise ScoreError(
                f"{self._setup.run}: the model was loaded in another process. Load it in this one."
            )

    def close(self) -> None:
        """End the decoding threads; results that are not yet consumed are lost."""
        self.closed = True
        if self._process != os.getpid():
            return  # a fork has none of the threads
        self.decoding.close()  # first: the jobs end sooner
        with self._counting:
            running = list(self._running)
        for jobs in running:
            jobs.end()


class SharedRuntime(Runtime):
    """A runtime that several threads may use."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._one_at_a_time = Lock()
        self.in_flight = runtime.in_flight

    def submit(self, images: torch.Tensor) -> Results:
        """Start a batch; see `Runtime.submit`."""
        with self._one_at_a_time:
            return self._runtime.submit(images)
