"""The GPU's contest, tried out on the CPU: every section runs, and one that fails costs itself."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from bench import __main__ as command
from bench.gpu import correctness, sections
from bench.gpu.place import DIETS, RESIZED, Place
from bench.outcome import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ON_CPU = "needs CUDA"


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(
        device="cpu",
        scratch=tmp_path,
        quick=True,
        seconds=0.0,
        repeats=1,
        shard=12,
        shards=2,
        size=64,
        batch=8,
        backbones=("resnet18",),
    )


def test_a_section_that_fails_costs_itself_only(place: Place) -> None:
    """What it had measured stays, its error is an outcome, and the next one runs."""

    def fails(where: Place) -> Iterator[Outcome]:
        yield Outcome(contest="gpu", title="measured before")
        raise ZeroDivisionError("of all\nthings")

    def works(where: Place) -> Iterator[Outcome]:
        yield Outcome(contest="gpu", title="measured after")

    found = list(sections.run(place, seconds=60, sections={"a": fails, "b": works}))
    assert [outcome.title for outcome in found] == [
        "measured before",
        "section a",
        "section a: done",
        "measured after",
        "section b: done",
    ]
    assert found[1].absent == {"a": "failed: ZeroDivisionError: of all things"}


def test_when_the_time_is_up_the_rest_is_named(place: Place) -> None:
    """A section under way ends behind its outcome; those behind it are listed as not run."""

    def endless(where: Place) -> Iterator[Outcome]:
        while True:
            yield Outcome(contest="gpu", title="one more")

    found = list(sections.run(place, seconds=0.0, sections={"a": endless, "b": endless}))
    absent = [reason for outcome in found for reason in outcome.absent.values()]
    assert 1 <= len(absent) <= 2
    assert absent[-1] == "not run: the 0 s were up"
    assert [outcome.title for outcome in found].count("one more") <= 1


def test_both_diets_hold_the_same_number_of_readable_images(place: Place) -> None:
    """Every shard's images are found; the resized ones are of the network's size."""
    for diet in DIETS:
        refs = place.refs(diet)
        assert len(refs) == 24
        with place.loader() as loader:
            batches = list(loader.batches(refs))
        assert sum(len(batch.rows) for batch in batches) == 24
    sizes = {diet: place.refs(diet)[0].size for diet in DIETS}
    assert sizes[RESIZED] < min(size for diet, size in sizes.items() if diet != RESIZED)


def test_bad_images_are_found_by_the_look_and_not_without_it(place: Place) -> None:
    """Both loaders give one verdict; without the look a flipped JPEG passes for a good one."""
    found = {outcome.key["kind"]: outcome for outcome in correctness.bad_images(place)}
    assert set(found) == {"truncated", "flipped", "html", "gif", "empty"}
    row = correctness._GOOD // 2
    for outcome in found.values():
        host, checked = outcome.facts["host"], outcome.facts["DALI"]
        assert list(host) == [row]
        assert checked["failed"] == host
        assert checked["largest_difference_of_the_good"] <= 20
        assert outcome.facts["DALI without the strict look"]["largest_difference_of_the_good"] <= 20
    assert found["flipped"].facts["DALI without the strict look"]["failed"] == {}
    assert found["html"].facts["DALI without the strict look"]["failed"].keys() == {row}


def test_without_a_gpu_there_is_one_line_and_exit_code_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is measured, nothing is kept."""
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(SystemExit) as stopped:
        command.main(["gpu"])
    assert stopped.value.code == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "bench gpu: device 'cuda:0' is not there" in shown.err
    assert len(shown.err.splitlines()) == 1


@pytest.mark.slow
def test_every_section_runs_on_the_cpu(tmp_path: Path) -> None:
    """With a few images, no section fails; what needs CUDA says so."""
    words = ["gpu", "--device", "cpu", "--quick", "--images", "24", "--repeats", "1"]
    command.main([*words, "--backbones", "resnet18", "--results", str(tmp_path), "--json"])
    text = (tmp_path / "gpu.jsonl").read_text()
    rows = [Outcome.from_row(json.loads(line)) for line in text.splitlines()]
    absent = {name: reason for row in rows for name, reason in row.absent.items()}
    assert absent
    assert all(reason.startswith(ON_CPU) for reason in absent.values()), absent
    parts = {row.key["part"] for row in rows}
    assert {"pixels", "probabilities", "bad image", "decoding", "model", "score"} <= parts
    assert {"peers", "train", "compiled", "model batch"} <= parts
