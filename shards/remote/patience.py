"""Repeats what a storage did not do although the library repeated it for some seconds."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final, TypeVar

from shards.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Callable

_T = TypeVar("_T")

PAUSES: Final = (2.0, 8.0)
"""Seconds before each further try."""


def patiently(act: Callable[[], _T]) -> _T:
    """Call a function again, after a pause, where it fails for a reason that may pass.

    Raises:
        StorageError: it fails for another reason, or still.
    """
    for pause in PAUSES:
        try:
            return act()
        except StorageError as error:
            if not error.passing:
                raise
        time.sleep(pause)
    return act()
