"""`python -m bench.first_batch score ...`: the command, until it tells of its first rows."""

from __future__ import annotations

import os
import sys

from vocscore.cli import progress
from vocscore.cli.main import main


def _leave(_self: progress.Progress, done: int, total: int, errors: int = 0) -> None:  # noqa: ARG001 - as the method that it replaces
    if done:
        os._exit(0)  # at once: what is left to clean up is not part of the start


if __name__ == "__main__":
    progress.Progress.__call__ = _leave  # type: ignore[method-assign,assignment]
    main.main(sys.argv[1:], prog_name="vocscore", standalone_mode=False)
    sys.exit("the command ended without telling of a row")
