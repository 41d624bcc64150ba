"""Results as objects, by number, as tables, and as they print."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from shards.errors import Fault, Reason
from vocscore.api.prediction import Block
from vocscore.api.predictions import Predictions
from vocscore.errors import ScoreError

CLASSES = ("cat", "dog")


def predictions(*, remember=True, classes=CLASSES, blocks=2):
    """Four results in two blocks; the third has an error."""
    nan = float("nan")
    made = [
        Block(["a", "b"], ["a.jpg", "<b>.jpg"], np.array([[0.9, 0.5], [0.1, 0.2]], np.float32), {}),
        Block(
            ["c", "inputs[3]"],
            ["c.jpg", None],
            np.array([[nan, nan], [0.25, 0.75]], np.float32),
            {0: Fault(Reason.EMPTY, "no bytes")},
        ),
    ]
    return Predictions(
        iter(made[:blocks]),
        classes=classes,
        thresholds=np.array([0.5, 0.5], np.float32),
        remember=remember,
    )


def test_results_are_remembered_and_have_numbers():
    """Those of a list can be taken again, from the start and from the end."""
    found = predictions()
    assert found[2].error.reason == "empty"
    assert [one.path for one in found] == [one.path for one in found]
    assert (found[0].path, found[-1].path, found[-4].path) == ("a.jpg", None, "a.jpg")
    for number in (4, -5):
        with pytest.raises(IndexError):
            found[number]


def test_results_of_an_iterator_are_not_remembered():
    """They come once, also in parts, and have no numbers."""
    found = predictions(remember=False)
    assert [next(iter(found)).path, next(iter(found)).path] == ["a.jpg", "<b>.jpg"]
    assert [one.path for one in found] == ["c.jpg", None]
    assert list(found) == []
    with pytest.raises(TypeError, match="cannot be indexed"):
        found[0]


def test_a_result_says_what_is_most_probable():
    """Labels from their thresholds on, the largest first; nothing where there is an error."""
    first, _, bad, last = predictions()
    assert first.labels == ("cat", "dog")
    assert last.top(1) == [("dog", 0.75)]
    assert bad.top(1) == []
    assert bad.labels == ()
    assert repr(last) == "Prediction(None, labels=('dog',), top: dog 0.750, cat 0.250)"
    assert repr(bad) == "Prediction('c.jpg', error='empty: no bytes')"


@pytest.mark.parametrize("remember", [True, False])
def test_a_table_has_the_columns_of_the_csv(remember):
    """path, status, error, one a class, labels; what is missing is None or NaN."""
    table = predictions(remember=remember).to_pandas()
    assert list(table.columns) == ["path", "status", "error", "cat", "dog", "labels"]
    assert table["path"].tolist() == ["a.jpg", "<b>.jpg", "c.jpg", None]
    assert table["status"].tolist() == ["ok", "ok", "error", "ok"]
    assert table["error"].tolist() == [None, None, "empty: no bytes", None]
    assert table["labels"].tolist() == ["cat;dog", "", "", "dog"]
    assert table["cat"].dtype == np.float32
    np.testing.assert_array_equal(table["dog"], np.array([0.5, 0.2, "nan", 0.75], np.float32))


def test_the_rest_of_a_stream_becomes_a_table():
    """Also from the middle of a block."""
    found = predictions(remember=False)
    next(iter(found))
    assert found.to_pandas()["path"].tolist() == ["<b>.jpg", "c.jpg", None]


def test_no_results_are_a_table_without_rows():
    """With its columns, and a type for each class."""
    table = predictions(blocks=0).to_pandas()
    assert table.shape == (0, 6)
    assert table["cat"].dtype == np.float32


def test_a_table_that_cannot_be_made_is_one_line(monkeypatch):
    """Without pandas, or where a class has the name of another column."""
    with pytest.raises(ScoreError, match="the class 'path' has the name of another column"):
        predictions(classes=("path", "dog")).to_pandas()
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ScoreError, match="Run: pip install pandas"):
        predictions().to_pandas()


def test_results_print_as_a_short_table():
    """The first ones; names of files are escaped in HTML; of a stream none is taken for it."""
    assert repr(predictions()).splitlines()[1] == (
        "  Prediction('a.jpg', labels=('cat', 'dog'), top: cat 0.900, dog 0.500),"
    )
    text = predictions()._repr_html_()
    assert "&lt;b&gt;.jpg" in text
    assert "empty: no bytes" in text
    assert text.count("<tr>") == 5
    stream = predictions(remember=False)
    assert "iterator" in repr(stream)
    assert "iterator" in stream._repr_html_()
    assert len(list(stream)) == 4


def broken(error, *, remember=True):
    """One block, then an exception."""
    (block, _) = [*predictions()._all_blocks()]

    def blocks():
        yield block
        raise error

    at = np.array([0.5, 0.5], np.float32)
    return Predictions(blocks(), classes=CLASSES, thresholds=at, remember=remember)


@pytest.mark.parametrize("error", [TypeError("inputs[2]: int."), KeyboardInterrupt()])
@pytest.mark.parametrize("remember", [True, False])
def test_results_that_an_exception_ended_never_look_complete(error, remember):
    """Those before it are still there; whatever needs more says so, and why."""
    found = broken(error, remember=remember)
    with pytest.raises(type(error)):
        list(found)
    more = [lambda: list(found), found.to_pandas]
    if remember:
        more += [lambda: found[2], lambda: found[-1], lambda: found[1:3], lambda: found[:]]
        assert (found[1].path, [one.path for one in found[:2]]) == ("<b>.jpg", ["a.jpg", "<b>.jpg"])
        for text in (repr(found), found._repr_html_()):
            assert "a.jpg" in text
            assert "these results are incomplete" in text
    for take in more:
        with pytest.raises(ScoreError, match="these results are incomplete") as raised:
            take()
        assert type(error).__name__ in str(raised.value)
        assert str(raised.value).endswith(". Call predict again.")


def test_an_interrupt_between_a_result_and_its_place_loses_nothing_unseen():
    """A block that was computed and not kept is missing, so the end is no end."""
    found = predictions()

    def interrupted(_block):
        raise KeyboardInterrupt

    found._blocks._keep = interrupted
    with pytest.raises(KeyboardInterrupt):
        list(found)
    with pytest.raises(ScoreError, match=r"incomplete: KeyboardInterrupt\. Call predict again"):
        list(found)


def test_a_slice_is_a_list():
    """As of a list; other kinds of an index are refused."""
    found = predictions()
    for at in (slice(1, 3), slice(-2, None), slice(None, None, -1), slice(9, None), slice(0, 4, 2)):
        assert [one.path for one in found[at]] == ["a.jpg", "<b>.jpg", "c.jpg", None][at]
    assert found[np.int64(1)].path == "<b>.jpg"
    with pytest.raises(TypeError, match="an index must be an integer or a slice, not str"):
        found["a"]
    with pytest.raises(TypeError, match="cannot be indexed"):
        predictions(remember=False)[:2]


def test_stored_vectors_cannot_be_changed():
    """A change would be in every later iteration."""
    with pytest.raises(ValueError, match="read-only"):
        predictions()[0].vector[0] = 7


def test_a_number_of_classes_is_a_count():
    """Also of NumPy; a negative one would leave out the last."""
    first = predictions()[0]
    assert (len(first.top(np.int64(9))), first.top(0)) == (2, [])
    with pytest.raises(ValueError, match="number must be 0 or more, got -1"):
        first.top(-1)
    with pytest.raises(TypeError, match=r"number must be an integer, got 2\.5"):
        first.top(2.5)


@pytest.mark.parametrize("remember", [True, False])
def test_results_in_use_elsewhere_are_refused(remember):
    """Here by an input that needs the results; so it is for a second thread."""

    def blocks():
        list(found)
        yield

    at = np.array([0.5, 0.5], np.float32)
    found = Predictions(blocks(), classes=CLASSES, thresholds=at, remember=remember)
    with pytest.raises(ScoreError, match="in use by another thread, or by their own inputs"):
        list(found)
