"""A model's results: one `Prediction` per image, and `Predictions` in order."""

from __future__ import annotations

import html
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import compress, islice
from typing import TYPE_CHECKING

import numpy as np

from vocscore.errors import ScoreError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import pandas as pd
    from numpy.typing import NDArray

    from shards.errors import Fault

ROWS_SHOWN = 5
"""Rows of `Predictions` that a notebook shows."""
_CLASSES_SHOWN = 3


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Prediction:
    """The result for one image.

    Attributes:
        path: the path that was given; for an image in a folder, the folder's and its own joined,
            which can be opened; for one in a tar, its name there. None if it came from memory.
        classes: the model's, in column order.
        vector: float32, shape (C,): probabilities, 0 to 1; NaN if there is an error.
        labels: the classes whose probability is at or above their threshold, in column order;
            none if there is an error.
        error: why there are no probabilities: `error.reason` is one of the stable codes ('empty',
            'truncated', 'vanished', ...), `error.detail` a one-line explanation. None if there is
            no error.
    """

    path: str | None
    classes: tuple[str, ...]
    vector: NDArray[np.float32]
    labels: tuple[str, ...]
    error: Fault | None

    @property
    def probabilities(self) -> dict[str, float]:
        """Class -> probability, in column order; NaN if there is an error."""
        return dict(zip(self.classes, self.vector.tolist(), strict=True))

    def top(self, number: int) -> list[tuple[str, float]]:
        """The most probable classes and their probabilities, descending; none if there is an error.

        Args:
            number: maximum number of classes.
        """
        if self.error is not None:
            return []
        order = np.argsort(-self.vector, kind="stable")[:number]
        return [(self.classes[column], float(self.vector[column])) for column in order]

    def __repr__(self) -> str:
        """Show the path, and the error or the most probable classes."""
        if self.error is not None:
            return f"Prediction({self.path!r}, error={str(self.error)!r})"
        shown = ", ".join(f"{name} {value:.3f}" for name, value in self.top(_CLASSES_SHOWN))
        return f"Prediction({self.path!r}, labels={self.labels!r}, top: {shown})"


@dataclass(frozen=True, slots=True)
class Block:
    """Some results, in order.

    Attributes:
        names: one per row, for messages.
        paths: one per row, as `Prediction.path`.
        numbers: float32, shape (len(paths), C); NaN in rows with an error.
        errors: row -> its error.
    """

    names: Sequence[str]
    paths: Sequence[str | None]
    numbers: NDArray[np.float32]
    errors: Mapping[int, Fault]


class Predictions(Iterable[Prediction]):
    """Results in the order of the inputs, computed as they are consumed.

    Results of a list, a folder or a single input are stored (4 C bytes per image): they can be
    iterated over again, and indexed. Those of an iterator are not, so a stream may be endless.

    Args:
        blocks: the results, once.
        classes: in column order.
        thresholds: float32, shape (C,).
        remember: store the results.
    """

    def __init__(
        self,
        blocks: Iterator[Block],
        *,
        classes: tuple[str, ...],
        thresholds: NDArray[np.float32],
        remember: bool,
    ) -> None:
        self._blocks = blocks
        self._classes = classes
        self._thresholds = thresholds
        self._known: list[Block] | None = [] if remember else None
        # Functions without a reference to this object: a reference cycle would keep the work
        # running.
        self._stream = None if remember else _rows(blocks, classes, thresholds)

    def __iter__(self) -> Iterator[Prediction]:
        """Iterate from the first result; for a stream, from the next one."""
        if self._stream is not None:
            return self._stream
        return _rows(self._all_blocks(), self._classes, self._thresholds)

    def __getitem__(self, number: int) -> Prediction:
        """The result at an index, from 0; a negative one counts from the end.

        Raises:
            IndexError: it is out of range.
            TypeError: the inputs were an iterator, whose results are not stored.
        """
        if self._known is None:
            raise TypeError("results of an iterator cannot be indexed. Pass a list, or use next()")
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
            ScoreError: pandas is not installed, or a class has the name of another column.
        """
        try:
            import pandas as pd
        except ImportError as error:
            raise ScoreError("to_pandas needs pandas. Run: pip install pandas") from error
        taken = {"path", "status", "error", "labels"} & set(self._classes)
        if taken:
            raise ScoreError(f"the class {min(taken)!r} has the name of another column.")
        rows = list(self)
        numbers = (
            np.stack([row.vector for row in rows]) if rows else np.empty((0, len(self._classes)))
        )
        errors = [None if row.error is None else str(row.error) for row in rows]
        table = pd.DataFrame(numbers.astype(np.float32, copy=False), columns=list(self._classes))
        table.insert(0, "path", pd.Series([row.path for row in rows], dtype=object))
        table.insert(1, "status", ["ok" if error is None else "error" for error in errors])
        table.insert(2, "error", pd.Series(errors, dtype=object))
        table["labels"] = pd.Series([";".join(row.labels) for row in rows], dtype=object)
        return table

    def __repr__(self) -> str:
        """Show the first results; a stream is not consumed."""
        if self._known is None:
            return "<Predictions of an iterator: iterate over them, or call to_pandas()>"
        shown = list(islice(self, ROWS_SHOWN + 1))
        lines = [f"  {prediction!r}," for prediction in shown[:ROWS_SHOWN]]
        more = ["  ..."] if len(shown) > ROWS_SHOWN else []
        return "\n".join(["<Predictions", *lines, *more]) + ">"

    def _repr_html_(self) -> str:
        """The first results as a table for a notebook."""
        if self._known is None:
            return f"<p>{html.escape(repr(self))}</p>"
        shown = list(islice(self, ROWS_SHOWN + 1))
        rows = [_html_row(one) for one in shown[:ROWS_SHOWN]]
        if len(shown) > ROWS_SHOWN:
            rows.append("<tr><td colspan='3'>...</td></tr>")
        head = "<tr><th>path</th><th>labels</th><th>most probable</th></tr>"
        return f"<table>{head}{''.join(rows)}</table>"

    def _all_blocks(self) -> Iterator[Block]:
        """Yield the stored blocks, then the remaining ones."""
        assert self._known is not None
        at = 0
        while True:
            if at == len(self._known):
                block = next(self._blocks, None)
                if block is None:
                    return
                self._known.append(block)
            yield self._known[at]
            at += 1


def _rows(
    blocks: Iterator[Block], classes: tuple[str, ...], thresholds: NDArray[np.float32]
) -> Iterator[Prediction]:
    for block in blocks:
        labels = _labels(block, classes, thresholds)
        for row, path in enumerate(block.paths):
            yield Prediction(path, classes, block.numbers[row], labels[row], block.errors.get(row))


def _labels(
    block: Block, classes: tuple[str, ...], thresholds: NDArray[np.float32]
) -> list[tuple[str, ...]]:
    above = (block.numbers >= thresholds).tolist()  # False for NaN
    return [tuple(compress(classes, row)) for row in above]


def _html_row(one: Prediction) -> str:
    shown = "" if one.path is None else one.path
    top = ", ".join(f"{name} {value:.3f}" for name, value in one.top(_CLASSES_SHOWN))
    cells = [shown, ", ".join(one.labels), top if one.error is None else str(one.error)]
    return "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in cells) + "</tr>"
