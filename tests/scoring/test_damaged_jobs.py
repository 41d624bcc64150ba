"""Damage to what jobs have stored beside their parts: found, named, and never merged."""

from __future__ import annotations

import json
import shutil

import pytest
from tiny_network import make_checkpoint, make_images, run

from vocscore.config.groups import build
from vocscore.config.scoring import ScoreConfig
from vocscore.errors import ScoreError, UnfinishedError
from vocscore.scoring.jobs.merge import merge
from vocscore.scoring.jobs.start import start
from vocscore.scoring.output.work_folder import work_folder

SETTINGS = {
    "loader": "host",
    "device": "cpu",
    "batch_size": 16,
    "unit_size": 5,
    "workers": 2,
    "max_pixels": 10**7,
    "precision": "float32",
    "ceilings": False,
}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return make_checkpoint(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return make_images(tmp_path_factory.mktemp("in"), [f"{i:02}.jpg" for i in range(12)], bad={3})


def share(source, output, checkpoint, units):
    config = build(ScoreConfig, {**SETTINGS, "units": units})
    return start(source, output, config, checkpoint=checkpoint)


@pytest.fixture(scope="module")
def scored(source, checkpoint, tmp_path_factory):
    """The parts of a run of 2 jobs and 3 units, all scored."""
    output = tmp_path_factory.mktemp("scored") / "o.csv"
    for units in ("1/2", "2/2"):
        share(source, output, checkpoint, units)
    return work_folder(output)


@pytest.fixture
def output(scored, tmp_path):
    """An output with a copy of these parts."""
    shutil.copytree(scored, work_folder(tmp_path / "o.csv"))
    return tmp_path / "o.csv"


def only(output, pattern):
    (file,) = work_folder(output).glob(pattern)
    return file


def changed(file, **values):
    """Rewrite JSON with other values, as valid JSON."""
    found = json.loads(file.read_bytes())
    file.write_text(json.dumps({**found, **values}))


@pytest.mark.parametrize("how", ["short", "empty", "list", "rows", "files"])
def test_a_damaged_mark_is_withdrawn(output, source, checkpoint, tmp_path, how):
    """Also one that is JSON still: without it, the rows of a unit would be missing silently."""
    mark = only(output, "mark-*-000001.json")
    if how in ("rows", "files"):
        changed(mark, **{"rows": {"rows": 4}, "files": {"files": {}}}[how])
    else:
        mark.write_bytes({"short": mark.read_bytes()[:-5], "empty": b"", "list": b"[]"}[how])
    with pytest.raises(UnfinishedError, match=r"1 of 3 units are damaged or gone.*: 1\. Of the 2"):
        merge(output)
    assert not mark.exists()
    assert not output.exists()
    assert share(source, output, checkpoint, "any").images == 5
    merge(output)
    run(source, tmp_path / "whole.csv", checkpoint, unit_size=5)
    assert output.read_bytes() == (tmp_path / "whole.csv").read_bytes()


def test_a_job_scores_again_what_its_mark_does_not_tell(output, source, checkpoint):
    """The job that meets the damage says so, and its next start repairs it."""
    mark = only(output, "mark-*-000001.json")
    mark.write_bytes(b"")
    with pytest.raises(ScoreError, match=r"units 1: .*Rerun the same command"):
        share(source, output, checkpoint, "2/2")
    assert share(source, output, checkpoint, "2/2").images == 5
    assert merge(output).images == 12


def test_a_mark_of_a_unit_that_is_not_there(output):
    """It is of other inputs, and so are perhaps the others."""
    mark = only(output, "mark-*-000001.json")
    shutil.copy(mark, mark.with_name(mark.name.replace("000001", "000007")))
    with pytest.raises(ScoreError, match=r"has 3 units, but a mark of unit 7\. Remove"):
        merge(output)


@pytest.mark.parametrize("text", ["{", "[]", '{"of": 0}', '{"of": 2, "first": 1, "step": "1"}'])
def test_a_damaged_array_is_one_line(output, source, checkpoint, text):
    """A job and the merge name the file; the next job stores it again."""
    array = only(output, "array-*.json")
    array.write_text(text)
    only(output, "mark-*-000001.json").unlink()
    for act in (lambda: share(source, output, checkpoint, "1/2"), lambda: merge(output)):
        with pytest.raises(ScoreError, match=r"array-\w+\.json: damaged\. Remove it"):
            act()
    array.unlink()
    share(source, output, checkpoint, "2/2")
    assert json.loads(array.read_bytes())["of"] == 2
    assert merge(output).images == 12


@pytest.mark.parametrize("how", ["gone", "short"])
def test_a_lost_listing_is_one_line(output, source, checkpoint, how):
    """Without it nobody knows which images the units are."""
    listing = only(output, "listing-*")
    if how == "gone":
        listing.unlink()
    else:
        listing.write_bytes(listing.read_bytes()[:40])
    for act in (lambda: share(source, output, checkpoint, "any"), lambda: merge(output)):
        with pytest.raises(ScoreError, match=r"listing-\w+: .*damaged or gone.*Remove .*parts to"):
            act()


def test_a_plan_of_another_version(output):
    """It may be JSON, and say other things than this version's."""
    plan = only(output, "plan.json")
    changed(plan, output="csv")
    with pytest.raises(ScoreError, match="damaged, or of another version of vocscore"):
        merge(output)


def test_clocks_that_contradict_each_other(output):
    """A run that began in the future of the machine that merges took no negative time."""
    changed(only(output, "started-*.json"), started="2130-01-01T00:00:00+00:00")
    assert merge(output).seconds == 0
    assert json.loads((output.parent / "o.csv.json").read_bytes())["seconds"] == 0


def test_a_start_without_a_zone(output):
    """Such a time cannot be compared with any clock."""
    changed(only(output, "started-*.json"), started="2026-01-01T00:00:00")
    with pytest.raises(ScoreError, match=r"started-.*damaged"):
        merge(output)
    assert not output.exists()


def test_files_of_nobody_are_not_read(output):
    """A name that only begins as one of ours tells nothing."""
    (work_folder(output) / "other-1-x").touch()
    assert merge(output).images == 12
