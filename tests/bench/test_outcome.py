"""What a contest returns: ratios, shares, text, and rows that come back as they were."""

from __future__ import annotations

import json

import pytest

from bench.outcome import Outcome
from bench.timing import Rate


def _outcome(unit: str = "images/s") -> Outcome:
    return Outcome(
        contest="score",
        title="score, some network",
        rates={
            "usual": Rate((10.0, 12.0, 11.0)),
            "other": Rate((22.0,)),
            "ceiling": Rate((50.0, 40.0, 44.0)),
            "vocscore": Rate((33.0, 30.0, 36.0)),
        },
        unit=unit,
        peers=("usual", "other"),
        ceilings={"vocscore": "ceiling"},
        absent={"peer": "not installed"},
        key={"backbone": "some"},
        facts={"agreement": 0.01},
        lines=("one more sentence",),
    )


def test_ratios_are_to_the_best_peer_and_of_medians() -> None:
    """Outliers of a repeat do not count: 33 beside the better of 11 and 22, and 33 of 44."""
    outcome = _outcome()
    assert outcome.best_peer == "other"
    assert outcome.ratio("vocscore") == pytest.approx(1.5)
    assert outcome.ratio("usual") == pytest.approx(0.5)
    assert outcome.share("vocscore") == pytest.approx(0.75)
    assert outcome.share("usual") is None
    assert Outcome(contest="x", title="x", rates=outcome.rates).ratio("usual") is None


def test_of_seconds_fewer_are_better() -> None:
    """The best peer is the quickest, and the ratio says how many times as fast."""
    outcome = _outcome("s")
    assert outcome.best_peer == "usual"
    assert outcome.ratio("vocscore") == pytest.approx(1 / 3)
    assert outcome.share("vocscore") == pytest.approx(44 / 33)


def test_text_shows_each_contestant_and_what_is_absent() -> None:
    """Figures, the ceiling by its name, the best peer, the absent with the reason, the sentence."""
    lines = _outcome().text().splitlines()
    assert lines[0] == "score, some network"
    (ours,) = [line for line in lines if line.startswith("vocscore")]
    assert ours.split() == ["vocscore", "33.0", "18%", "1.50", "75%", "of", "ceiling", "(44.0)"]
    assert any(line.startswith("peer") and "absent: not installed" in line for line in lines)
    assert lines[-2:] == ["best peer of this run: other", "one more sentence"]


def test_a_row_survives_json() -> None:
    """Everything but the sentences comes back from the raw row."""
    outcome = _outcome()
    back = Outcome.from_row(json.loads(json.dumps(outcome.row())))
    assert back.row() == outcome.row()
    assert back.cells() == outcome.cells()


def test_peers_of_a_row_that_does_not_name_them() -> None:
    """Neither the program's own, nor ceilings, nor bounds; contests without peers have none."""
    row = _outcome().row()
    del row["peers"]
    row["rates"] |= {"decode ceiling": {"values": [1.0]}, "import torch": {"values": [1.0]}}
    assert Outcome.from_row(row).peers == ("usual", "other")
    assert Outcome.from_row({**row, "contest": "dirty"}).peers == ()


@pytest.mark.parametrize("wrong", [{"peers": ("nobody",)}, {"ceilings": {"a": "nobody"}}])
def test_names_have_to_be_contestants(wrong: dict[str, object]) -> None:
    """A peer or a ceiling without a rate is refused at birth."""
    with pytest.raises(ValueError, match="nobody"):
        Outcome(contest="x", title="x", rates={"a": Rate((1.0,))}, **wrong)  # type: ignore[arg-type]
