"""Matches two predictions of the same images, and judges what changed by labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from vocscore.errors import EvalError
from vocscore.evaluation.bootstrap import bootstrap_difference
from vocscore.evaluation.metrics import report_decided

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from vocscore.columns.dataset import Dataset
    from vocscore.columns.table import Table

from vocscore.columns.comparison import Comparison, JudgedChanges


def compare_datasets(
    first: Dataset,
    second: Dataset,
    *,
    threshold: float | None = None,
    everything: bool = False,
    resamples: int,
    seed: int,
) -> Comparison:
    """Compare two predictions; images are the same if their paths are equal.

    Args:
        first: predictions, with the labels to judge them by.
        second: predictions of the same images.
        threshold: decide with this one; None: the labels in the predictions.
        everything: also judge by images that a model was trained on.
        resamples: of the intervals; 0 for none.
        seed: of the resamples.

    Raises:
        EvalError: they have no class or no image in common, or lack probabilities.
    """
    tables = (first.table, second.table)
    classes = tuple(name for name in tables[0].classes if name in tables[1].classes)
    others = tuple(sorted({*tables[0].classes} ^ {*tables[1].classes}))
    if not classes:
        raise EvalError(f"{tables[0].source} and {tables[1].source} have no class in common.")
    pairs, alone = _match(*tables)
    bad = [table.failed[pairs[:, side]] for side, table in enumerate(tables)]
    kept = pairs[~bad[0] & ~bad[1]]
    if not len(kept):
        raise EvalError(
            f"{tables[0].source} and {tables[1].source} have no image with probabilities in "
            f"common{_first_paths(*tables)}. Score the same folder with both models."
        )
    values = [_values(table, classes, kept[:, side]) for side, table in enumerate(tables)]
    decisions = np.stack(
        [_decisions(table, classes, kept[:, side], threshold) for side, table in enumerate(tables)]
    )
    has, trained = _labeled((first, second), kept)
    whole = ~np.isnan(values[0]).any(axis=1) & ~np.isnan(values[1]).any(axis=1)
    moved = np.abs(values[0] - values[1])
    known = moved[~np.isnan(moved)]
    return Comparison(
        classes=classes,
        other_classes=others,
        rows=kept,
        only_first=alone[0],
        only_second=alone[1],
        failed=(
            int((bad[0] & ~bad[1]).sum()),
            int((bad[1] & ~bad[0]).sum()),
            int((bad[0] & bad[1]).sum()),
        ),
        predicted=decisions,
        changed=np.argwhere(decisions[0] != decisions[1]).astype(np.int64),
        mean_moved=float(known.mean()) if known.size else float("nan"),
        most_moved=float(known.max()) if known.size else float("nan"),
        gained=(decisions[1] & ~decisions[0]).sum(0),
        lost=(decisions[0] & ~decisions[1]).sum(0),
        left_out=0 if everything else int(trained.sum()),
        incomplete=int((has & ~whole).sum()),
        judged=_judge(
            first,
            classes,
            kept,
            np.flatnonzero(has & whole & (everything | ~trained)).astype(np.int64),
            values=values,
            decisions=decisions,
            resamples=resamples,
            seed=seed,
        ),
    )


def _first_paths(first: Table, second: Table) -> str:
    if not first.rows or not second.rows:
        return ""
    return f" (the first paths are {first.path(0)!r} and {second.path(0)!r})"


def _match(first: Table, second: Table) -> tuple[NDArray[np.int64], tuple[int, int]]:
    """Rows of equal paths, int64 (M, 2), and how many rows of each have none."""
    places: dict[str, int] = {}
    for row in range(second.rows):
        places.setdefault(second.path(row), row)
    pairs = [
        (row, there)
        for row in range(first.rows)
        if (there := places.pop(first.path(row), None)) is not None
    ]
    found = np.array(pairs, np.int64).reshape(-1, 2)
    return found, (first.rows - len(found), second.rows - len(found))


def _values(table: Table, classes: tuple[str, ...], rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """Probabilities, float32 (M, C)."""
    return np.stack([table.column(table.classes.index(name))[rows] for name in classes], axis=1)


def _decisions(
    table: Table, classes: tuple[str, ...], rows: NDArray[np.int64], threshold: float | None
) -> NDArray[np.bool_]:
    """Decisions, bool (M, C)."""
    found = []
    for name in classes:
        c = table.classes.index(name)
        column = table.decided(c) if threshold is None else table.predicted(c, threshold)
        found.append(column[rows])
    return np.stack(found, axis=1)


def _labeled(
    datasets: tuple[Dataset, Dataset], rows: NDArray[np.int64]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which images have labels, and which of them a model was trained on; bool (M,) each."""
    labels, other = datasets[0].labels, datasets[1].labels
    if labels is None:
        return np.zeros(len(rows), np.bool_), np.zeros(len(rows), np.bool_)
    trained = labels.trained[rows[:, 0]]
    if other is not None:
        trained = trained | other.trained[rows[:, 1]]
    has = labels.has[rows[:, 0]]
    return has, has & trained


def _judge(
    first: Dataset,
    classes: tuple[str, ...],
    rows: NDArray[np.int64],
    places: NDArray[np.int64],
    *,
    values: list[NDArray[np.float32]],
    decisions: NDArray[np.bool_],
    resamples: int,
    seed: int,
) -> JudgedChanges | None:
    """Judge both by the labels of the first, at some places; None without any."""
    labels = first.labels
    if labels is None or not len(places):
        return None
    columns = [first.table.classes.index(name) for name in classes]
    truth = labels.table(rows[places, 0])[:, columns]
    one, two = ((values[side][places], decisions[side][places]) for side in (0, 1))
    wrong = [(truth >= 0) & (predicted != (truth == 1)) for _, predicted in (one, two)]
    return JudgedChanges(
        places=places,
        labels=truth,
        first=report_decided(truth, *one, threshold=None),
        second=report_decided(truth, *two, threshold=None),
        fixed=(wrong[0] & ~wrong[1]).sum(0),
        broken=(wrong[1] & ~wrong[0]).sum(0),
        intervals=(
            bootstrap_difference(truth, one, two, resamples=resamples, seed=seed)
            if resamples
            else None
        ),
    )


def change_rows(comparison: Comparison, first: Table, second: Table) -> list[Mapping[str, Any]]:
    """Every changed decision as plain values, for a table.

    Columns: path, class, probability_first, probability_second, predicted_first,
    predicted_second, label (1, 0, -1, or '' without one).
    """
    judged = comparison.judged
    labels: dict[int, NDArray[np.int8]] = {}
    if judged is not None:
        labels = dict(zip(judged.places.tolist(), judged.labels, strict=True))
    found: list[Mapping[str, Any]] = []
    for image, c in comparison.changed.tolist():
        row, there = comparison.rows[image].tolist()
        name = comparison.classes[c]
        values = [
            float(table.row(at)[table.classes.index(name)])
            for table, at in ((first, row), (second, there))
        ]
        found.append(
            {
                "path": first.path(row),
                "class": name,
                "probability_first": f"{values[0]:.9g}",
                "probability_second": f"{values[1]:.9g}",
                "predicted_first": int(comparison.predicted[0, image, c]),
                "predicted_second": int(comparison.predicted[1, image, c]),
                "label": int(labels[image][c]) if image in labels else "",
            }
        )
    return found
