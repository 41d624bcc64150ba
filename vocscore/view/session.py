"""What the page shows, and what each of its tabs has set."""

from __future__ import annotations

from functools import lru_cache
from threading import Lock
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from vocscore.columns.curve import class_curve
from vocscore.thumbnails.cache import Thumbnails

if TYPE_CHECKING:
    from pathlib import Path

    from vocscore.columns.curve import ClassCurve
    from vocscore.columns.dataset import Dataset
    from vocscore.columns.labels import Labels
    from vocscore.columns.table import Table

_CURVES: Final = 24
"""Sorted classes that are kept in memory; each takes 13 bytes a row."""


class Subject:
    """Predictions that the page shows; shared by its tabs.

    Attributes:
        number: 0, or 1 for the second of two runs.
        dataset: predictions, labels and images.
        thumbnails: of the images.
        version: counts changes of the rows while a run is being written.
    """

    def __init__(self, number: int, dataset: Dataset) -> None:
        """Prepare what is computed when it is wanted.

        Args:
            number: its place in addresses.
            dataset: what is shown.
        """
        self.number = number
        self.dataset = dataset
        self.thumbnails = Thumbnails(dataset)
        self.version = 0
        self._lock = Lock()
        self._reset()

    def _reset(self) -> None:
        self._curve = lru_cache(_CURVES)(self._sort)

    @property
    def table(self) -> Table:
        """The predictions."""
        return self.dataset.table

    @property
    def labels(self) -> Labels | None:
        """Of the images; None if unknown."""
        return self.dataset.labels

    def curve(self, c: int) -> ClassCurve:
        """What every threshold of a class would give."""
        with self._lock:  # two tabs that want the same class sort it once
            return self._curve(c)

    def _sort(self, c: int) -> ClassCurve:
        return class_curve(self.table, self.labels, c)

    def refresh(self) -> bool:
        """Take in what an unfinished run has written; whether rows were added or it has ended."""
        from vocscore.columns.labels import find_labels

        with self._lock:  # two tabs look at the same time
            if self.table.complete or not self.table.refresh():
                return False
            if self.labels is not None:
                self.dataset.labels = find_labels(self.table, self.labels.shards)
            if self.table.complete:  # rows have the order of the output now
                self.thumbnails.forget()
            self.version += 1
            self._reset()
        return True


class Session:
    """One tab of the page.

    Attributes:
        subjects: one, or two runs that are compared.
        thresholds: float32 (C,), those that this tab decides with.
        kept: plain values of this tab that survive a reload.
    """

    def __init__(self, subjects: tuple[Subject, ...], kept: dict[str, Any]) -> None:
        """Restore what the tab had set before a reload.

        Args:
            subjects: what is shown.
            kept: the tab's values.
        """
        self.subjects = subjects
        self.kept = kept
        self.thresholds = self.subject.table.thresholds.copy()
        for name, value in kept.get("thresholds", {}).items():
            if name in self.table.classes:
                self.thresholds[self.table.classes.index(name)] = value

    @property
    def subject(self) -> Subject:
        """The first run."""
        return self.subjects[0]

    @property
    def table(self) -> Table:
        """The predictions of the first run."""
        return self.subject.table

    @property
    def labels(self) -> Labels | None:
        """The labels of its images."""
        return self.subject.labels

    def set_threshold(self, c: int, value: float) -> None:
        """Decide a class with another threshold, in this tab."""
        self.thresholds[c] = value
        moved = self.kept.setdefault("thresholds", {})
        name = self.table.classes[c]
        if np.float32(value) == self.table.thresholds[c]:
            moved.pop(name, None)
        else:
            moved[name] = float(value)

    @property
    def moved(self) -> dict[str, float]:
        """Class -> threshold, of those that differ from the predictions'."""
        found: dict[str, float] = self.kept.get("thresholds", {})
        return found

    def all_thresholds(self) -> dict[str, float]:
        """Class -> threshold, of all classes, as short as float32 allows."""
        texts = (float(str(value)) for value in self.thresholds)
        return dict(zip(self.table.classes, texts, strict=True))

    def beside(self, ending: str) -> Path:
        """A file beside the predictions, for what is saved."""
        source = self.table.source
        output = source.with_name(source.name.removesuffix(".parts"))
        return output.with_name(f"{output.stem}.{ending}")
