"""Scores units in several workers: processes of this machine, or others behind a transport."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from vocscore.scoring.engines import Finished
from vocscore.scoring.engines.worker import ScoringJob
from vocscore.workers.dispatch import Dispatcher
from vocscore.workers.processes import ProcessTransport

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping, Sequence

    from typing_extensions import Self

    from shards.sample import ImageRef
    from vocscore.scoring.engines import Event
    from vocscore.scoring.engines.worker import Opener
    from vocscore.scoring.inputs.units import Unit
    from vocscore.workers.dispatch import Policy
    from vocscore.workers.transport import Transport


class WorkerEngine:
    """An `Engine` of several workers. Close it, or use it in a `with` block.

    Args:
        transport: its workers do `ScoringJob`s.
        policy: see `Dispatcher`.
        notice: see `Dispatcher`.
        waiting: see `Dispatcher`.

    Attributes:
        dispatcher: has the workers.

    Raises:
        ScoreError: a worker died repeatedly while loading.
        CheckpointError, DeviceError: raised in a worker by its opener.
    """

    def __init__(
        self,
        transport: Transport,
        policy: Policy | None = None,
        *,
        notice: Callable[[str], None] | None = None,
        waiting: Callable[[int], None] | None = None,
    ) -> None:
        """Start the workers and wait until enough of them have loaded."""
        self.dispatcher = Dispatcher(transport, policy, notice=notice, waiting=waiting)

    @property
    def loader(self) -> str:
        """Class name of the workers' loaders."""
        return self.dispatcher.about

    @property
    def kind(self) -> Mapping[str, str]:
        """See `vocscore.workers.messages.Work`."""
        return self.dispatcher.kind

    def score(self, units: Iterator[Unit]) -> Generator[Event]:
        """Distribute the units; see `Engine.score`.

        Raises:
            ScoreError: as for `Engine.score`, or workers died too often.
        """
        for message, problems in self.dispatcher.run(units):
            event: Event = message.value
            if isinstance(event, Finished) and problems:
                event = replace(event, problems=(*event.problems, *problems))
            yield event

    def ceilings(self, images: Sequence[ImageRef]) -> None:  # noqa: ARG002 - see `Engine`
        """Return None: workers share cores and disk, so one alone says little about all."""
        return

    def close(self) -> None:
        """End the workers, also in the middle of a unit."""
        self.dispatcher.close()

    def __enter__(self) -> Self:
        """Return the engine."""
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Close the engine, also after an error."""
        self.close()


class ProcessEngine(WorkerEngine):
    """An `Engine` of one process per opener, each of which has loaded.

    Args:
        openers: one per worker.
    """

    def __init__(self, openers: Sequence[Opener]) -> None:
        super().__init__(ProcessTransport([ScoringJob(opener) for opener in openers]))
