"""The engine of a job, which computes as the job that began the run."""

from __future__ import annotations

from contextlib import ExitStack, closing
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from vocscore.config.scoring import ScoreConfig
    from vocscore.models.card import ModelCard
    from vocscore.scoring.engines.opened import OpenedEngine


class AgreedEngine:
    """Opens the engine of a job. Close it, or use it in a `with` block.

    With `--precision auto` it has the precision of the run, also if another job begins this one
    while the engine is opened: then it is opened again.

    Args:
        config: the options.
        card: card of the model.
        checkpoint: its folder.
        identity: its hash.
        begun: returns the precision of the run that has begun; None while there is none.
        stage: called with the name of the stage that begins.
    """

    def __init__(
        self,
        config: ScoreConfig,
        card: ModelCard,
        *,
        checkpoint: Path,
        identity: str,
        begun: Callable[[], str | None],
        stage: Callable[[str], None],
    ) -> None:
        """Open nothing yet."""
        self._config, self._card = config, card
        self._checkpoint, self._identity = checkpoint, identity
        self._begun, self._stage = begun, stage
        self._held = ExitStack()
        self._opened: OpenedEngine | None = None
        self._found: str | None = None  # when the engine was opened

    def opened(self) -> OpenedEngine:
        """Open the engine, unless there is one that computes as the run does."""
        if self._opened is None or self._is_outdated(self._opened):
            self.close()
            self._opened = self._open()
        return self._opened

    def _open(self) -> OpenedEngine:
        self._stage("loading the model")
        from vocscore.scoring.engines.opened import open_here  # imports torch

        self._found = self._begun()
        opened = open_here(
            self._config,
            self._card,
            checkpoint=self._checkpoint,
            identity=self._identity,
            begun=self._found,
        )
        self._held.enter_context(closing(opened.engine))
        return opened

    def _is_outdated(self, opened: OpenedEngine) -> bool:
        """Whether another job has begun the run meanwhile, with another precision."""
        if self._config.compute.precision != "auto":
            return False
        return self._begun() not in (None, self._found, opened.opener.precision)

    def close(self) -> None:
        """Close the engine."""
        self._held.close()
