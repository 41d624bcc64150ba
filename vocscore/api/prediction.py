"""The result of one image, and of a block of images."""

from __future__ import annotations

import html
from dataclasses import dataclass
from itertools import compress
from operator import index
from typing import TYPE_CHECKING

import numpy as np

from vocscore.models.probabilities import decide

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from shards.errors import Fault


_CLASSES_SHOWN = 3


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Prediction:
    """The result for one image.

    Attributes:
        path: the path that was given; for an image in a folder, the folder's and its own joined,
            which can be opened; for one in a tar, its name there. None if it came from memory.
        classes: the model's, in column order.
        vector: float32, shape (C,): probabilities, 0 to 1; NaN if there is an error. Read-only if
            the results are stored.
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
            number: maximum number of classes, 0 or more.

        Raises:
            TypeError: `number` is not an integer.
            ValueError: it is negative.
        """
        try:
            number = index(number)
        except TypeError:
            raise TypeError(f"number must be an integer, got {number!r}") from None
        if number < 0:
            raise ValueError(f"number must be 0 or more, got {number}")
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


def rows_of(blocks: Iterator[Block], rule: LabelRule) -> Iterator[Prediction]:
    """Split blocks into the predictions of their images."""
    classes = rule.classes
    for block in blocks:
        labels = rule.labels(block)
        for row, path in enumerate(block.paths):
            yield Prediction(path, classes, block.numbers[row], labels[row], block.errors.get(row))


@dataclass(frozen=True, slots=True)
class LabelRule:
    """Decides labels: the classes in column order, their thresholds (C,), the activation."""

    classes: tuple[str, ...]
    thresholds: NDArray[np.float32]
    activation: str

    def labels(self, block: Block) -> list[tuple[str, ...]]:
        """Return the labels of each row; none for rows of NaN."""
        above = decide(block.numbers, self.thresholds, self.activation).tolist()
        return [tuple(compress(self.classes, row)) for row in above]


def html_row(one: Prediction) -> str:
    """Return a row of an HTML table: the path, the most probable classes, the labels."""
    shown = "" if one.path is None else one.path
    top = ", ".join(f"{name} {value:.3f}" for name, value in one.top(_CLASSES_SHOWN))
    cells = [shown, ", ".join(one.labels), top if one.error is None else str(one.error)]
    return "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in cells) + "</tr>"
