from __future__ import annotations

import numpy as np
import pytest

from shards.errors import Fault, Reason
from vocscore.errors import ScoreError
from vocscore.scoring.engines.unit_results import RowsError, UnitResults

BAD = Fault(Reason.CORRUPT, "x")


def values(rows):
    return np.array(rows, np.int64), np.array([[row / 10, 0.5] for row in rows], np.float32)


def test_rows_in_any_order_end_beside_their_names():
    """Rows may come in any order and in pieces; failures fill the rest."""
    results = UnitResults(["a", "b", "c", "d"], classes=2)
    results.add(*values([3, 0]))
    results.fail(1, BAD)
    assert (results.done, results.errors) == (3, 1)
    results.add(*values([2]))
    rows = results.finish()
    assert rows.names == ["a", "b", "c", "d"]
    assert rows.probabilities[:, 0].tolist() == np.float32([0, 0, 0.2, 0.3]).tolist()
    assert rows.failures == {1: BAD}


@pytest.mark.parametrize(
    ("good", "bad", "said"),
    [
        ([0, 1], [], "c: occurs 0 times"),
        ([0, 1, 2, 1], [], "b: occurs 2 times"),
        ([0, 1, 2], [2], "c: occurs 2 times"),
        ([0, 1], [2, 2], "c: occurs 2 times"),
        ([], [], r"a: occurs 0 times.*3 such rows of 3"),
    ],
)
def test_a_row_lost_or_doubled_is_an_error_that_names_it(good, bad, said):
    """Every row must come exactly once, as a result or as a failure."""
    results = UnitResults(["a", "b", "c"], classes=2)
    results.add(
        *values(good[:1]) if good else (np.empty(0, np.int64), np.empty((0, 2), np.float32))
    )
    for row in good[1:]:
        results.add(*values([row]))
    for row in bad:
        results.fail(row, BAD)
    with pytest.raises(RowsError, match=said):
        results.finish()


def test_a_row_doubled_within_one_batch_is_noticed():
    """A doubled row is counted within a batch, too."""
    results = UnitResults(["a", "b"], classes=2)
    results.add(*values([0, 0]))
    results.add(*values([1]))
    with pytest.raises(RowsError, match="a: occurs 2"):
        results.finish()


@pytest.mark.parametrize("row", [-1, 2])
def test_a_row_that_does_not_exist_is_an_error(row):
    """Rows outside the unit are refused at once, negative ones as well."""
    results = UnitResults(["a", "b"], classes=2)
    with pytest.raises(RowsError):
        results.add(*values([row]))
    with pytest.raises(RowsError):
        results.fail(row, BAD)


def test_results_of_another_shape_are_an_error():
    """As many results as rows, as many columns as classes."""
    results = UnitResults(["a", "b"], classes=2)
    with pytest.raises(RowsError, match=r"2 rows, but probabilities \(1, 2\)"):
        results.add(np.array([0, 1]), np.zeros((1, 2), np.float32))
    with pytest.raises(RowsError):
        results.add(np.array([0]), np.zeros((1, 3), np.float32))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_an_answer_that_is_no_number_names_the_image(value):
    """NaN or infinity from the network is an error, never a row with status ok."""
    results = UnitResults(["a", "b.jpg"], classes=2)
    with pytest.raises(ScoreError, match=r"b\.jpg: the model returned NaN or infinity"):
        results.add(np.array([0, 1]), np.array([[0, 1], [0.5, value]], np.float32))
