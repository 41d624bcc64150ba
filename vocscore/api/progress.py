"""Progress of a function: a tqdm bar, in a terminal or a notebook."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator


class Progress(Protocol):
    """Receives the progress of a function. `vocscore`'s commands have their own."""

    def stage(self, name: str) -> None:
        """Stage `name` starts, e.g. 'reading annotations'."""

    def __call__(self, done: int, total: int, errors: int = 0) -> None:
        """`done` of `total` images are finished in this stage, `errors` of them with errors."""

    def listing(self, files: int) -> None:
        """`files` files have been found."""


class _Bar:
    """One tqdm bar for all stages."""

    def __init__(self, label: str, *, shown: bool | None) -> None:
        from tqdm.auto import tqdm

        self._label = label
        disable = None if shown is None else not shown  # None: tqdm shows it only on a terminal
        self.tqdm = tqdm(desc=label, unit="img", disable=disable, leave=False)

    def stage(self, name: str) -> None:
        self.tqdm.reset(total=None)
        self.tqdm.set_description_str(f"{self._label}: {name}")

    def __call__(self, done: int, total: int, errors: int = 0) -> None:
        self.tqdm.total = total
        if errors:
            self.tqdm.set_postfix(errors=errors, refresh=False)
        self.tqdm.update(done - self.tqdm.n)

    def listing(self, files: int) -> None:
        self.tqdm.update(files - self.tqdm.n)


@contextmanager
def opened(label: str, progress: bool | Progress | None) -> Iterator[Progress]:
    """Open the progress display of a function.

    Args:
        label: the start of the line.
        progress: True shows a bar on standard error or in a notebook, False shows nothing, None
            shows one if standard error is a terminal; an object receives the progress instead.
    """
    if progress is None or isinstance(progress, bool):
        bar = _Bar(label, shown=progress)
        try:
            yield bar
        finally:
            bar.tqdm.close()
    else:
        yield progress
