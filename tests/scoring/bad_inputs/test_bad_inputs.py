"""`--max-bad`, with a stand-in for the network."""

from __future__ import annotations

import pytest
from quarantines import NAMES
from score_doubles import FakeLoader, is_bad, make_files, score_fake

from vocscore.errors import StoppedOnPurposeError
from vocscore.scoring.bad_inputs import bad_inputs
from vocscore.scoring.output.ledger import open_ledger
from vocscore.scoring.output.unit_record import UnitRecord
from vocscore.scoring.output.work_folder import work_folder


def test_without_a_limit_bad_inputs_never_stop_a_run(source, output):
    """The default is a row for each, however many are bad."""
    score_fake(make_files(source, ["bad1.jpg", "bad2.jpg"]), output, unit_size=1)
    assert output.exists()


@pytest.mark.parametrize(("max_bad", "stops"), [(0.0, 4), (0.2, 8), (0.27, 22), (0.28, None)])
def test_a_run_stops_behind_the_unit_that_exceeds_the_share(
    source, output, monkeypatch, max_bad, stops
):
    """Judged after each unit over all rows so far, from the least number of rows on."""
    monkeypatch.setattr(bad_inputs, "LEAST_ROWS", 3)
    shares = [sum(map(is_bad, sorted(NAMES)[:n])) / n for n in (4, 8, 12, 16, 20, 22)]
    assert [share > max_bad for share in shares].index(True) >= 0 if stops else True
    if stops is None:
        score_fake(source, output, max_bad=max_bad)
        assert output.exists()
        return
    with pytest.raises(StoppedOnPurposeError, match="more than `max_bad=") as error:
        score_fake(source, output, max_bad=max_bad)
    first = next(n for n, s in zip((4, 8, 12, 16, 20, 22), shares, strict=True) if s > max_bad)
    assert f"of {first} inputs so far are bad" in str(error.value)
    assert not output.exists()
    assert len(list(work_folder(output).glob("part-*.csv"))) == -(-first // 4)


def test_a_few_rows_are_judged_at_the_end_only(source, output):
    """Under the least number of rows nothing stops early; the whole is judged all the same."""
    loader = FakeLoader(3)
    with pytest.raises(StoppedOnPurposeError, match=r"6 of 22 inputs .*\(6 corrupt\)"):
        score_fake(source, output, max_bad=0.01, loader=loader)
    assert sum(map(len, loader.asked)) == 22


def test_a_higher_limit_goes_on_from_what_is_kept(source, output, monkeypatch, tmp_path):
    """Nothing that was committed is scored again, and the bytes are those of a free run."""
    score_fake(source, tmp_path / "free.csv")
    monkeypatch.setattr(bad_inputs, "LEAST_ROWS", 3)
    with pytest.raises(StoppedOnPurposeError):
        score_fake(source, output, max_bad=0.0)
    again = FakeLoader(3)
    with pytest.raises(StoppedOnPurposeError):
        score_fake(source, output, max_bad=0.0, loader=again)
    assert again.asked == []  # it was clear before anything was decoded
    loader = FakeLoader(3)
    score_fake(source, output, max_bad=0.5, loader=loader)
    assert sum(map(len, loader.asked)) == 18
    assert output.read_bytes() == (tmp_path / "free.csv").read_bytes()


def test_a_unit_that_is_committed_again_without_bad_inputs_has_no_list_of_them(output):
    """What a run left that was killed before it marked the part does not stay."""
    with open_ledger(output, {}, suffix=".csv", overwrite=False) as ledger:
        ledger.commit(0, UnitRecord(1, {"empty": 1}), lambda file: None, bad_records=b"[]\n")
        assert ledger.bad_records(0).read_bytes() == b"[]\n"
        ledger.commit(0, UnitRecord(1), lambda file: None)
        assert not ledger.bad_records(0).exists()
        ledger.discard()
