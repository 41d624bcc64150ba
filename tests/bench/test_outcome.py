"""What a contest returns: ratios, shares, text, and rows that come back as they were."""

from __future__ import annotations

import json

import pytest

from bench.outcome import Outcome
from bench.timing import Rate


def _outcome() -> Outcome:
    return Outcome(
        contest="score",
        title="score, some network",
        rates={
            "usual": Rate((10.0, 12.0, 11.0)),
            "ceiling": Rate((50.0, 40.0, 44.0)),
            "ours": Rate((33.0, 30.0, 36.0)),
        },
        baseline="usual",
        walls={"ours": "ceiling"},
        absent={"peer": "not installed"},
        key={"backbone": "some"},
        facts={"agreement": 0.01},
        lines=("one more sentence",),
    )


def test_ratios_and_shares_are_of_medians() -> None:
    """Outliers of a repeat do not count: 33 of 11, 33 of 44."""
    outcome = _outcome()
    assert outcome.ratio("ours") == pytest.approx(3.0)
    assert outcome.share("ours") == pytest.approx(0.75)
    assert outcome.share("usual") is None


def test_text_shows_each_contestant_and_who_is_absent() -> None:
    """A person sees the figures, the wall by its name, the absent with the reason, the sentence."""
    lines = _outcome().text().splitlines()
    assert lines[0] == "score, some network"
    (ours,) = [line for line in lines if line.startswith("ours")]
    assert ours.split() == ["ours", "33.0", "18%", "3.00", "75%", "of", "ceiling"]
    assert any(line.startswith("peer") and "absent: not installed" in line for line in lines)
    assert lines[-1] == "one more sentence"


def test_a_row_survives_json() -> None:
    """Everything but the sentences comes back from the raw row."""
    outcome = _outcome()
    back = Outcome.from_row(json.loads(json.dumps(outcome.row())))
    assert back.row() == outcome.row()
    assert back.table() == outcome.table()


@pytest.mark.parametrize("wrong", [{"baseline": "nobody"}, {"walls": {"a": "nobody"}}])
def test_names_have_to_be_contestants(wrong: dict[str, object]) -> None:
    """A baseline or a wall without a rate is refused at birth."""
    with pytest.raises(ValueError, match="nobody"):
        Outcome(contest="x", title="x", rates={"a": Rate((1.0,))}, **wrong)  # type: ignore[arg-type]
