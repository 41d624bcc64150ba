"""How far a function has come: a bar of tqdm, in a terminal or a notebook."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator


class Progress(Protocol):
    """Is told what a function is doing. `vocscore`'s commands bring their own."""

    def stage(self, name: str) -> None:
        """`name` begins: 'reading annotations'."""

    def __call__(self, done: int, total: int, errors: int = 0) -> None:
        """`done` of `total` images are finished in this stage, `errors` of them badly."""

    def listing(self, files: int) -> None:
        """So many files have been found."""


class _Bar:
    """One bar of tqdm for all stages."""

    def __init__(self, label: str, *, shown: bool | None) -> None:
        from tqdm.auto import tqdm

        self._label = label
        disable = None if shown is None else not shown  # None: where nobody looks, nothing is shown
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
    """Open what a function tells its progress to.

    Args:
        label: what begins the line.
        progress: True shows a bar on standard error or in a notebook, False shows nothing, None
            shows one where standard error is a terminal; an object is told instead.
    """
    if progress is None or isinstance(progress, bool):
        bar = _Bar(label, shown=progress)
        try:
            yield bar
        finally:
            bar.tqdm.close()
    else:
        yield progress
