"""Says that workers of a cluster are waited for: starting machines takes a while."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_LOOKS_UNTIL_TOLD = 10
"""Some twenty seconds, in which a model is loaded where there is room."""


class Waiting:
    """Tells once that nobody is ready; called by `Dispatcher` at each look.

    Args:
        stage: called with the name of the stage that begins.
    """

    def __init__(self, stage: Callable[[str], None]) -> None:
        self._stage = stage
        self._looks = 0

    def __call__(self, workers: int) -> None:
        """Count a look."""
        self._looks += 1
        if self._looks == _LOOKS_UNTIL_TOLD:
            self._stage(f"waiting for room for {workers} processes on the cluster")
