"""What jobs with --units and their merge refuse."""

from __future__ import annotations

import shutil

import pytest
from small_jobs import make_source, merged, share
from tiny_network import make_checkpoint, run

from vocscore.errors import OptionError, ScoreError, StoppedOnPurposeError
from vocscore.scoring.output.work_folder import work_folder


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return make_checkpoint(tmp_path_factory.mktemp("run"))


@pytest.fixture
def source(tmp_path):
    return make_source(tmp_path / "in")


def test_nothing_to_merge_is_one_line(tmp_path, source, checkpoint):
    """No run; a run of one process; and an output that would be replaced."""
    output = tmp_path / "o.csv"
    with pytest.raises(ScoreError, match=r"nothing to merge: .*`units`"):
        merged(output)
    with pytest.raises(StoppedOnPurposeError):
        run(source, output, checkpoint, unit_size=6, max_bad=0.0)
    with pytest.raises(ScoreError, match=r"of one process, without `units`"):
        merged(output)
    with pytest.raises(ScoreError, match="without jobs of their own"):
        share(source, output, checkpoint, "1/2")
    shutil.rmtree(work_folder(output))
    share(source, output, checkpoint, "1/1")
    with pytest.raises(ScoreError, match=r"by jobs of their own .*vocscore merge"):
        run(source, output, checkpoint, unit_size=6, overwrite=True)
    plan = work_folder(output) / "plan.json"
    good = plan.read_text()
    for damaged in ("[]", '"text"', '{"parts": "marks"}', '{"run": "abc"}', ""):
        plan.write_text(damaged)
        with pytest.raises(ScoreError, match=r"plan\.json: damaged"):
            merged(output)
    plan.write_text("{}")
    with pytest.raises(ScoreError, match="of one process"):
        merged(output)
    plan.write_text(good)
    output.write_text("mine")
    with pytest.raises(ScoreError, match=r"already exists\. Use `overwrite=True`"):
        merged(output)
    assert output.read_text() == "mine"
    assert merged(output, overwrite=True).images == 26


def test_a_job_of_another_kind_of_machine_is_refused(source, checkpoint, tmp_path, monkeypatch):
    """The last bits depend on it; the line names what differs."""
    output = tmp_path / "o.csv"
    share(source, output, checkpoint, "1/2")
    monkeypatch.setattr("vocscore.workers.kind.processor", lambda: "Another CPU")
    with pytest.raises(ScoreError, match=r"the machine processor \(.* there, Another CPU now\)"):
        share(source, output, checkpoint, "2/2")


def test_machines_of_two_kinds_may_be_mixed_if_all_jobs_say_so(
    source, checkpoint, tmp_path, monkeypatch
):
    """Then the plan does not name the kind; a job that was not told is refused."""
    output = tmp_path / "o.csv"
    share(source, output, checkpoint, "1/2", mixed_machines=True)
    monkeypatch.setattr("vocscore.workers.kind.processor", lambda: "Another CPU")
    with pytest.raises(ScoreError, match="differs in the machine"):
        share(source, output, checkpoint, "2/2")
    share(source, output, checkpoint, "2/2", mixed_machines=True)
    assert merged(output).images == 26


@pytest.mark.parametrize("changes", [{"unit_size": 7}, {"decimals": 3}, {"include": ("*.png",)}])
def test_a_job_with_other_settings_is_refused(source, checkpoint, tmp_path, changes):
    """As a resume of one process is."""
    output = tmp_path / "o.csv"
    share(source, output, checkpoint, "1/2")
    with pytest.raises(ScoreError, match="unfinished run that differs in"):
        share(source, output, checkpoint, "2/2", **changes)


def test_another_model_is_refused(source, checkpoint, tmp_path):
    """Rows of two models are never mixed."""
    output = tmp_path / "o.csv"
    share(source, output, checkpoint, "1/2")
    other = make_checkpoint(tmp_path / "other", seed=1)
    with pytest.raises(ScoreError, match="differs in the checkpoint"):
        share(source, output, other, "2/2")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"update": True}, "update.*not supported with"),
        ({"quarantine": "q"}, "quarantine.*give it to 'vocscore merge'"),
        ({"on": "ray"}, "`units='1/2'` and `on`: jobs share"),
    ],
)
def test_what_jobs_cannot_do_is_refused(source, checkpoint, tmp_path, changes, said):
    """Before anything is listed or loaded."""
    with pytest.raises(OptionError, match=said):
        share(source, tmp_path / "o.csv", checkpoint, "1/2", **changes)


def test_standard_input_is_no_source_of_several_jobs(checkpoint, tmp_path):
    """Only one of them could read it."""
    with pytest.raises(OptionError, match="standard input"):
        share("-", tmp_path / "o.csv", checkpoint, "1/2")
