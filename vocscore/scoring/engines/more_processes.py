"""Uses several processes where Python's lock would keep one from using all cores.

Reading an image, its verdict, its row and its line hold the lock for some microseconds; decoding
and the network do not. So one process scores at most as many images per second as the lock allows,
whatever the number of cores. Where threads that do nothing but decode reach that limit, it shows:
they are not as many times as fast as one thread. `python -m bench cores` simulates it.
"""

from __future__ import annotations

import math
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Final

from vocscore.machine import available_memory, peak_memory, usable_cores
from vocscore.scoring.ceilings import SAMPLE_IMAGES, decode_rate

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import ExitStack

    from vocscore.config.scoring import ScoreConfig
    from vocscore.pipeline.preprocess import Preprocess
    from vocscore.scoring.ceilings import Ceilings
    from vocscore.scoring.engines.opened import OpenedEngine
    from vocscore.scoring.inputs.units import Inputs, Unit

SCORING: Final = 0.9
"""Limit of one process when it scores, as a share of that when it loads (`bench cores`)."""
PAYS_FROM: Final = 1.25
"""Cores, as a multiple of those that one process feeds, from which a second one pays."""
LEAST_CORES: Final = 8
"""With fewer, not even the smallest images and networks reach the lock's limit."""
LEAST_IMAGES: Final = 100_000
"""With fewer, starting processes costs more seconds than they save."""
CORES_EACH: Final = 4
"""At least, of each process: its threads for decoding and for the network share them."""
LEAST_UNITS: Final = 4
"""Units per process, so that all of them end at about the same time."""


@dataclass(frozen=True, slots=True)
class Feeding:
    """How many processes a run pays for.

    Attributes:
        cores: of this machine.
        seconds: core-seconds per image of decoding and the network.
        limit: images per second that one process scores at most; if decoding does not reach the
            lock's limit on these cores, it is larger than this.
    """

    cores: int
    seconds: float
    limit: float

    @classmethod
    def of(cls, one_thread: float, all_threads: Ceilings, cores: int) -> Feeding:
        """Judge by what was measured.

        Args:
            one_thread: images per second that one thread decodes.
            all_threads: the rates with a thread per core.
            cores: their number.
        """
        seconds = 1 / one_thread + cores / all_threads.model
        return cls(cores, seconds, SCORING * all_threads.decode)

    @property
    def feeds(self) -> float:
        """The cores that one process can keep busy."""
        return self.seconds * self.limit

    @property
    def processes(self) -> int:
        """The number that uses all cores; 1 if more would not pay."""
        if self.cores < PAYS_FROM * self.feeds:
            return 1
        return max(1, min(math.ceil(self.cores / self.feeds), self.cores // CORES_EACH))

    def told(self, processes: int) -> str:
        """Text for the summary."""
        return (
            f"{processes} on {self.cores} cores, because one can feed {math.floor(self.feeds)} of "
            "them (`device='cpu'`: one process)"
        )


def with_more_processes(
    opened: OpenedEngine,
    config: ScoreConfig,
    preprocess: Preprocess,
    *,
    allowed: bool,
    inputs: Inputs,
    done: int,
    held: ExitStack,
    stage: Callable[[str], None],
) -> OpenedEngine:
    """Replace an engine in this process by several processes, if that pays.

    It does not where devices or threads are given, for an update, and where the run is short. The
    rows are the same.

    Args:
        opened: the engine in this process; it is closed if it is replaced.
        config: the options.
        preprocess: of the model.
        allowed: whether this process may start others.
        inputs: what will be scored.
        done: images that an earlier run has scored.
        held: will close the processes.
        stage: called with the name of the stage that begins.

    Returns:
        An engine of several processes, or `opened`.
    """
    cores = usable_cores()
    left = 0 if inputs.images is None else inputs.images - done
    worth = cores >= LEAST_CORES and left >= LEAST_IMAGES
    if not (allowed and worth and _may(opened, config)):
        return opened
    stage("measuring whether more processes pay")
    feeding = _measure(opened, preprocess, next(inputs.units(config.inputs.unit_size)), cores)
    units = sum(1 for _ in islice(inputs.units(config.inputs.unit_size), LEAST_UNITS * cores))
    number = min(feeding.processes, units // LEAST_UNITS, _fitting(opened)) if feeding else 1
    if feeding is None or number < 2:
        return opened
    from vocscore.scoring.engines.factory import open_workers

    stage(f"starting {number} processes")
    opened.engine.close()
    engine = open_workers(opened.opener, [opened.opener.device] * number)
    held.enter_context(closing(engine))
    return replace(opened, engine=engine, devices=number, processes=feeding.told(number))


def _may(opened: OpenedEngine, config: ScoreConfig) -> bool:
    """Whether the engine decodes and computes on this CPU, and nobody said how."""
    compute = config.compute
    given = compute.devices or compute.workers or compute.device != "auto"
    if given or config.cluster.on is not None or config.update.update:
        return False
    return opened.opener.device == "cpu" and opened.engine.loader == "HostLoader"


def _measure(
    opened: OpenedEngine, preprocess: Preprocess, unit: Unit, cores: int
) -> Feeding | None:
    """Measure one thread and then all, when the files are in memory; some seconds."""
    from vocscore.pipeline.fetch import needs_fetching
    from vocscore.scoring.engines.local import LocalEngine

    images = list(unit.read().images[:SAMPLE_IMAGES])
    if not isinstance(opened.engine, LocalEngine) or any(map(needs_fetching, images)):
        return None  # what is in object storage comes as fast as the network allows
    with closing(opened.opener.open_loader(preprocess, threads=1)) as loader:
        one_thread = decode_rate(images, loader)
    all_threads = opened.engine.ceilings(images)
    return None if all_threads is None else Feeding.of(one_thread, all_threads, cores)


def _fitting(opened: OpenedEngine) -> int:
    """How many processes fit into half of the memory that is free; they share that for images."""
    free = available_memory()
    images = opened.opener.image_memory << 20
    return 1 if free is None else max(0, free // 2 - images) // peak_memory()
