"""Compares two predictions, or two runs, and writes tables of what changed."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from shards import atomic
from vocscore.columns.compare import change_rows, compare_datasets
from vocscore.columns.comparison import class_figures
from vocscore.columns.comparison_text import comparison_text, run_comparison_text
from vocscore.columns.dataset import Dataset, open_dataset
from vocscore.columns.labels import find_labels, labels_if_any
from vocscore.config.comparing import CompareConfig
from vocscore.errors import EvalError
from vocscore.evaluation.run_comparison import RunComparison, compare_runs, is_run
from vocscore.printed import Printed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from vocscore.columns.comparison import Comparison


@dataclass(frozen=True, eq=False, repr=False)
class CompareReport(Printed):
    """The differences of two predictions, or of two runs.

    Attributes:
        comparison: what changed; see `Comparison` and `RunComparison`.
        datasets: the two predictions; () for runs.
    """

    comparison: Comparison | RunComparison
    datasets: tuple[Dataset, ...]

    def __str__(self) -> str:
        """The text that `vocscore compare` prints."""
        if isinstance(self.comparison, RunComparison):
            return run_comparison_text(self.comparison)
        return comparison_text(self.comparison)

    def __repr__(self) -> str:
        """Return one line."""
        return f"CompareReport({type(self.comparison).__name__})"

    def to_json(self) -> dict[str, Any]:
        """Return plain values; without single decisions."""
        return self.comparison.to_json()

    def write_classes(self, file: Path) -> None:
        """Write one row per class as CSV.

        Raises:
            OSError: it cannot be written; an existing file is as it was.
        """
        _write(file, _class_rows(self.comparison))

    def write_changes(self, file: Path) -> int:
        """Write one row per changed decision as CSV; see `change_rows`.

        Returns:
            The number of rows.

        Raises:
            EvalError: runs are compared, which keep no predictions.
            OSError: it cannot be written; an existing file is as it was.
        """
        if isinstance(self.comparison, RunComparison):
            raise EvalError("runs keep figures, not predictions: there are no changed decisions.")
        rows = change_rows(self.comparison, *(dataset.table for dataset in self.datasets))
        _write(file, rows, columns=_CHANGES)
        return len(rows)


_CHANGES = (
    *("path", "class", "probability_first", "probability_second"),
    *("predicted_first", "predicted_second", "label"),
)


def compare(
    first: Path,
    second: Path,
    config: CompareConfig | None = None,
    *,
    on_stage: Callable[[str], None] | None = None,
) -> CompareReport:
    """Compare two predictions of the same images, or two runs.

    Args:
        first: what `vocscore score` wrote, or a folder that `vocscore train` wrote.
        second: the same kind.
        config: the options; runs are compared without them.
        on_stage: called with the name of the stage that begins.

    Raises:
        Error: they cannot be compared.
        OSError: a file cannot be read.
    """
    config = config or CompareConfig()
    stage = on_stage or (lambda _name: None)
    kinds = {is_run(first), is_run(second)}
    if kinds == {True, False}:
        run, other = (first, second) if is_run(first) else (second, first)
        raise EvalError(
            f"{run} is a run, and {other} is not. Compare two runs, or two predictions."
        )
    if kinds == {True}:
        return CompareReport(compare_runs(first, second), ())
    one = open_dataset(first, labels=config.judged.labels, on_stage=on_stage)
    other_labels = config.judged.labels or (None if one.labels is None else one.labels.shards)
    two = open_dataset(second, labels=None, on_stage=on_stage)
    if config.judged.labels is not None:
        two.labels = find_labels(two.table, config.judged.labels)
    elif other_labels is not None:
        two.labels = labels_if_any(two.table, other_labels)
    stage("comparing")
    comparison = compare_datasets(
        one,
        two,
        threshold=config.judged.threshold,
        everything=config.judged.all_images,
        resamples=config.bootstrap.resamples,
        seed=config.bootstrap.seed,
    )
    return CompareReport(comparison, (one, two))


def _class_rows(found: Comparison | RunComparison) -> list[Mapping[str, Any]]:
    if isinstance(found, RunComparison):
        return [
            {
                "class": name,
                "average_precision_first": first,
                "average_precision_second": second,
                "difference": second - first,
            }
            for name, (first, second) in found.classes.items()
        ]
    return [
        {
            "class": name,
            "gained": int(found.gained[c]),
            "lost": int(found.lost[c]),
            **({} if found.judged is None else class_figures(found.judged, c)),
        }
        for c, name in enumerate(found.classes)
    ]


def _write(
    file: Path, rows: Iterable[Mapping[str, Any]], *, columns: Iterable[str] | None = None
) -> None:
    every = list(rows)
    names = list(columns or (every[0] if every else ()))
    with atomic.replacing(file) as opened:
        text = io.TextIOWrapper(opened, "utf-8", "surrogateescape", newline="", write_through=True)
        writer = csv.DictWriter(text, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows(every)
        text.detach()
