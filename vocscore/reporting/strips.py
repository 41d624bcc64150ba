"""The images of a report with their texts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from vocscore.reporting.contents import probability
from vocscore.reporting.texts import number, visible

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from vocscore.columns.dataset import Dataset
    from vocscore.reporting.album import Thumbnail
    from vocscore.reporting.examples import Strip

_LONGEST_PATH: Final = 240
"""Letters of a path that are shown; its end is kept."""
_LONGEST_ABOUT: Final = 300
_MOST_NAMES: Final = 5

_TITLES: Final = {
    "false_positive": "predicted, not labeled",
    "false_negative": "labeled, not predicted",
    "probable": "most probable",
    "unsure": "nearest to the threshold",
    "error": "",
}
_MEANINGS: Final = {
    "false_positive": "labeled",
    "false_negative": "predicted",
    "probable": "predicted",
    "unsure": "predicted",
}
"""What the names below an image are, per kind of strip."""


@dataclass(frozen=True, slots=True)
class ShownImage:
    """An image of a report.

    Attributes:
        path: of the image.
        score: its probability, or ''.
        about: the other labels of the image, or what is wrong with it.
        source: `data:` address of its thumbnail; '' without one.
        problem: why there is no thumbnail.
    """

    path: str
    score: str
    about: str
    source: str
    problem: str


@dataclass(frozen=True, slots=True)
class ShownStrip:
    """A strip of images.

    Attributes:
        class_name: '' for bad inputs.
        title: what the images have in common.
        kind: of the strip; see `Strip`.
        total: how many images there are of this kind.
        images: those that are shown.
    """

    class_name: str
    title: str
    kind: str
    total: str
    images: tuple[ShownImage, ...]


def show(
    dataset: Dataset, strips: Sequence[Strip], thumbnails: Iterator[Thumbnail | None]
) -> list[ShownStrip]:
    """Put strips and their thumbnails together.

    Args:
        dataset: whose images.
        strips: to be shown.
        thumbnails: one per row of each strip, in order; None: the row is not shown.
    """
    classes = dataset.table.classes
    return [
        ShownStrip(
            class_name="" if strip.class_index is None else visible(classes[strip.class_index]),
            title=_TITLES[strip.kind] or visible(strip.reason),
            kind=strip.kind,
            total=number(strip.total),
            images=tuple(
                _image(dataset, strip, row, thumbnail)
                for row, thumbnail in zip(strip.rows, thumbnails, strict=False)
                if thumbnail is not None
            ),
        )
        for strip in strips
    ]


def _image(dataset: Dataset, strip: Strip, row: int, thumbnail: Thumbnail) -> ShownImage:
    table = dataset.table
    path = visible(table.path(row))
    if len(path) > _LONGEST_PATH:
        path = f"…{path[-_LONGEST_PATH:]}"
    if strip.class_index is None:
        score, about = "", visible(table.detail(row))
    else:
        score = probability(float(table.row(row)[strip.class_index]))
        about = _others(dataset, strip, row)
    about = about[:_LONGEST_ABOUT]
    return ShownImage(path, score, about, thumbnail.source, visible(thumbnail.problem))


def _others(dataset: Dataset, strip: Strip, row: int) -> str:
    """What else the image is labeled or predicted as."""
    table, labels, meaning = dataset.table, dataset.labels, _MEANINGS[strip.kind]
    has = table.decided_row(row)
    if meaning == "labeled" and labels is not None:
        has = labels.row(row) == 1
    others = [visible(table.classes[c]) for c in np.flatnonzero(has) if c != strip.class_index]
    told = ", ".join(others[:_MOST_NAMES])
    more = f" and {len(others) - _MOST_NAMES} more" if len(others) > _MOST_NAMES else ""
    alone = "nothing" if strip.kind in ("false_positive", "false_negative") else "nothing else"
    return f"{meaning}: {told or alone}{more}"
