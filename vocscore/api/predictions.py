"""A model's results: one `Prediction` per image, and `Predictions` in order."""

from __future__ import annotations

import html
from collections.abc import Iterable, Iterator
from itertools import islice
from operator import index
from threading import Lock
from typing import TYPE_CHECKING, TypeVar, overload

import numpy as np

from vocscore.api.prediction import Block, LabelRule, Prediction, html_row, rows_of
from vocscore.errors import ScoreError

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd
    from numpy.typing import NDArray


Item = TypeVar("Item")

ROWS_SHOWN = 5
"""Rows of `Predictions` that a notebook shows."""


class Predictions(Iterable[Prediction]):
    """Results in the order of the inputs, computed as they are consumed.

    Results of a list, a folder or a single input are stored (4 C bytes per image): they can be
    iterated over again, and indexed. Those of an iterator are not, so a stream may be endless.

    An exception ends the computation, an interrupt too. After the stored results, everything that
    needs the others raises a `ScoreError` from then on: they never look complete.

    Args:
        blocks: the results, once.
        classes: in column order.
        thresholds: float32, shape (C,).
        remember: store the results.
        activation: of the probabilities, as for `decide`.
    """

    def __init__(
        self,
        blocks: Iterator[Block],
        *,
        classes: tuple[str, ...],
        thresholds: NDArray[np.float32],
        remember: bool,
        activation: str = "sigmoid",
    ) -> None:
        self._rule = LabelRule(classes, thresholds, activation)
        self._known: list[Block] | None = [] if remember else None
        # Functions without a reference to this object: a reference cycle would keep the work
        # running.
        self._blocks = _Once(blocks, keep=_keeper(self._known))
        self._stream = None if remember else _Once(rows_of(blocks, self._rule))

    def __iter__(self) -> Iterator[Prediction]:
        """Iterate from the first result; for a stream, from the next one."""
        if self._stream is not None:
            return self._stream
        return rows_of(self._all_blocks(), self._rule)

    @overload
    def __getitem__(self, number: int) -> Prediction: ...

    @overload
    def __getitem__(self, number: slice) -> list[Prediction]: ...

    def __getitem__(self, number: int | slice) -> Prediction | list[Prediction]:
        """The result at an index, or a list of those in a slice; from 0, or -1 for the last.

        Raises:
            IndexError: the index is out of range.
            TypeError: it is no integer, or the inputs were an iterator, whose results are not
                stored.
            ScoreError: an exception has ended the results before it.
        """
        if self._known is None:
            raise TypeError("results of an iterator cannot be indexed. Pass a list, or use next()")
        if isinstance(number, slice):
            bounds = (number.start, number.stop, number.step)
            if all(bound is None or index(bound) >= 0 for bound in bounds):
                return list(islice(self, *bounds))
            return list(self)[number]
        try:
            number = index(number)
        except TypeError:
            kind = type(number).__name__
            raise TypeError(f"an index must be an integer or a slice, not {kind}") from None
        if number < 0:
            number += sum(len(block.paths) for block in self._all_blocks())
        found = next(islice(self, number, None), None) if number >= 0 else None
        if found is None:
            raise IndexError("the index is out of range")
        return found

    def to_pandas(self) -> pd.DataFrame:
        """Convert all results (of a stream: those left) to a table.

        Columns are those of the CSV that `vocscore score` writes: path, status ('ok' or 'error'),
        error (None or 'reason: detail'), one float32 per class (NaN if there is an error), labels
        (joined with ';').

        Raises:
            ScoreError: pandas is not installed, a class has the name of another column, or an
                exception has ended the results before.
        """
        try:
            import pandas as pd
        except ImportError as error:
            raise ScoreError("to_pandas needs pandas. Run: pip install pandas") from error
        classes = self._rule.classes
        taken = {"path", "status", "error", "labels"} & set(classes)
        if taken:
            raise ScoreError(f"the class {min(taken)!r} has the name of another column.")
        rows = list(self)
        numbers = np.stack([row.vector for row in rows]) if rows else np.empty((0, len(classes)))
        errors = [None if row.error is None else str(row.error) for row in rows]
        table = pd.DataFrame(numbers.astype(np.float32, copy=False), columns=list(classes))
        table.insert(0, "path", pd.Series([row.path for row in rows], dtype=object))
        table.insert(1, "status", ["ok" if error is None else "error" for error in errors])
        table.insert(2, "error", pd.Series(errors, dtype=object))
        table["labels"] = pd.Series([";".join(row.labels) for row in rows], dtype=object)
        return table

    def __repr__(self) -> str:
        """Show the first results; a stream is not consumed."""
        if self._known is None:
            return "<Predictions of an iterator: iterate over them, or call to_pandas()>"
        shown, end = self._first()
        lines = [f"  {prediction!r}," for prediction in shown]
        return "\n".join(["<Predictions", *lines, *([f"  {end}"] if end else [])]) + ">"

    def _repr_html_(self) -> str:
        """The first results as a table for a notebook."""
        if self._known is None:
            return f"<p>{html.escape(repr(self))}</p>"
        shown, end = self._first()
        rows = [html_row(one) for one in shown]
        if end:
            rows.append(f"<tr><td colspan='3'>{html.escape(end)}</td></tr>")
        head = "<tr><th>path</th><th>labels</th><th>most probable</th></tr>"
        return f"<table>{head}{''.join(rows)}</table>"

    def _first(self) -> tuple[list[Prediction], str]:
        """The results that are shown, and a line for those that are not."""
        shown: list[Prediction] = []
        try:
            for one in islice(self, ROWS_SHOWN + 1):
                shown.append(one)  # noqa: PERF402 - those before an exception count
        except IncompleteError as error:
            return shown[:ROWS_SHOWN], str(error)
        return shown[:ROWS_SHOWN], "..." if len(shown) > ROWS_SHOWN else ""

    def _all_blocks(self) -> Iterator[Block]:
        """Yield the stored blocks, then the remaining ones."""
        assert self._known is not None
        at = 0
        while at < len(self._known) or next(self._blocks, None) is not None:
            yield self._known[at]
            at += 1


class IncompleteError(ScoreError):
    """Results that are not stored cannot be had any more."""


class _Once(Iterator[Item]):
    """An iterator for one taker at a time, which never looks complete after an exception.

    A generator that has raised is at its end for Python, like one that has yielded everything.

    Args:
        items: in order.
        keep: called with each item, before it is returned.
    """

    def __init__(self, items: Iterator[Item], keep: Callable[[Item], None] | None = None) -> None:
        self._items = items
        self._keep = keep
        self._taken = Lock()
        self._ended_by: str | None = None

    def __next__(self) -> Item:
        """Return the next item.

        Raises:
            ScoreError: it is being computed for another thread or by an input; or an exception has
                ended the items before.
        """
        if not self._taken.acquire(blocking=False):
            raise ScoreError(
                "these results are in use by another thread, or by their own inputs. Call predict "
                "in each thread."
            )
        try:
            if self._ended_by is not None:
                raise IncompleteError(
                    f"these results are incomplete: {self._ended_by}. Call predict again."
                )
            return self._next()
        finally:
            self._taken.release()

    def _next(self) -> Item:
        # An interrupt may come anywhere, even after an item is taken and before it is kept.
        self._ended_by = "they were interrupted"
        try:
            item = next(self._items)
            if self._keep is not None:
                self._keep(item)
        except StopIteration:
            self._ended_by = None
            raise
        except BaseException as error:
            said = str(error).removesuffix(".")
            self._ended_by = type(error).__name__ + (f": {said}" if said else "")
            raise
        self._ended_by = None
        return item


def _keeper(known: list[Block] | None) -> Callable[[Block], None] | None:
    if known is None:
        return None

    def keep(block: Block) -> None:
        block.numbers.flags.writeable = False  # a change would be in all later iterations
        known.append(block)

    return keep
