"""Queries select and sort the rows that a loop over all decisions selects."""

from __future__ import annotations

import itertools
import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from written_predictions import draw

from vocscore.columns.open import open_table
from vocscore.columns.query import KINDS, NEED_LABELS, SORTS, UNSURE, Query, select
from vocscore.errors import EvalError

ROWS, CLASSES = 60, 3
THRESHOLDS = np.array([0.5, 0.3, 0.8], np.float32)
DRAWN = draw(ROWS, failing=(5, 50), seed=3)


def labels_of(seed: int = 1) -> Any:
    """Labels as `Labels` gives them; some images have none, some classes are difficult."""
    generator = np.random.default_rng(seed)
    values = generator.choice([-1, 0, 1], (ROWS, CLASSES), p=[0.1, 0.5, 0.4]).astype(np.int8)
    has = generator.random(ROWS) < 0.8
    values[~has] = -2
    trained = generator.random(ROWS) < 0.3
    failed = np.isin(np.arange(ROWS), (5, 50))
    return SimpleNamespace(
        has=has,
        held_out=has & ~trained & ~failed,
        column=lambda c: values[:, c],
        values=values,
    )


LABELS = labels_of()


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return open_table(DRAWN.write(tmp_path_factory.mktemp("query") / "p.parquet"))


def kinds_of(row: int, c: int) -> set[str]:
    """The kinds of one decision."""
    p, t, label = DRAWN.probabilities[row, c], THRESHOLDS[c], LABELS.values[row, c]
    found = {"predicted"} if p >= t else set()
    if abs(p - t) <= np.float32(UNSURE):
        found.add("unsure")
    if label in (0, 1):
        right = (p >= t) == (label == 1)
        found.add(f"{'true' if right else 'false'}_{'positive' if p >= t else 'negative'}")
    return found


def expected(query: Query) -> list[int]:
    """A loop over rows."""
    found = []
    for row in range(ROWS):
        if query.kind == "error":
            if row in DRAWN.failures and query.reason in (None, str(DRAWN.failures[row].reason)):
                found.append(row)
            continue
        classes = range(CLASSES) if query.class_index is None else [query.class_index]
        kinds = [kinds_of(row, c) for c in classes]
        if query.kind == "all":
            fits = True
        elif query.kind == "true_negative" and query.class_index is None:
            fits = all("true_negative" in one for one in kinds)
        else:
            fits = any(query.kind in one for one in kinds)
        score = max(DRAWN.probabilities[row, c] for c in classes)
        inside = np.float32(query.low) <= score <= np.float32(query.high)
        held_out = not query.held_out or LABELS.held_out[row]
        if row not in DRAWN.failures and fits and inside and held_out:
            found.append(row)
    return [row for row in found if query.text in DRAWN.names[row]]


def value(row: int, query: Query) -> float:
    classes = range(CLASSES) if query.class_index is None else [query.class_index]
    probabilities = [float(DRAWN.probabilities[row, c]) for c in classes]
    if query.sort == "score":
        return max(probabilities)
    if query.sort == "margin":
        return min(
            abs(p - float(THRESHOLDS[c])) for p, c in zip(probabilities, classes, strict=True)
        )
    losses = [
        -math.log(min(1.0, max(1e-7, p if LABELS.values[row, c] == 1 else 1 - p)))
        for p, c in zip(probabilities, classes, strict=True)
        if LABELS.values[row, c] >= 0
    ]
    return sum(losses) if losses else math.nan


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("c", [None, 1])
def test_kinds_are_those_of_a_loop(kind: str, c: int | None, table: Any) -> None:
    """For one class and for any; with a range, a text, and only held-out images."""
    options = itertools.product((0.0, 0.4), (1.0, 0.7), ("", "3"), (False, True))
    for low, high, text, held_out in options:
        if kind == "error" and (low or high < 1 or held_out):
            continue  # errors have no probabilities
        query = Query(c, kind, low, high, text=text, held_out=held_out)
        assert select(table, LABELS, THRESHOLDS, query).tolist() == expected(query), query


@pytest.mark.parametrize("sort", SORTS)
@pytest.mark.parametrize("c", [None, 2])
@pytest.mark.parametrize("descending", [False, True])
def test_order_is_that_of_a_loop(sort: str, c: int | None, descending: bool, table: Any) -> None:
    """Rows without a value are last; equal ones stay in order."""
    query = Query(c, "all", sort=sort, descending=descending)
    rows = select(table, LABELS, THRESHOLDS, query).tolist()
    assert sorted(rows) == expected(query)
    if sort == "path":
        assert rows == sorted(rows, reverse=descending)
        return
    values = np.array([value(row, query) for row in rows])
    known = values[~np.isnan(values)]
    assert np.isnan(values[len(known) :]).all()
    steps = np.diff(known) * (-1 if descending else 1)
    assert (steps >= -1e-5).all()


def test_reasons_are_selected(table: Any) -> None:
    """One, all, or one that no row has."""
    for reason in (None, "truncated", "corrupt", "empty"):
        query = Query(kind="error", reason=reason)
        assert select(table, None, THRESHOLDS, query).tolist() == expected(query)


@pytest.mark.parametrize("kind", NEED_LABELS)
def test_without_labels_nothing_is_right_or_wrong(kind: str, table: Any) -> None:
    """Kinds that need labels select nothing."""
    assert not len(select(table, None, THRESHOLDS, Query(0, kind)))


def test_unknown_words_are_refused() -> None:
    """With those that are known."""
    with pytest.raises(EvalError, match="kind 'wrong' is not one of all, true_positive"):
        Query(kind="wrong")
    with pytest.raises(EvalError, match="sort 'size' is not one of path"):
        Query(sort="size")
