"""The GPU's contest, tried out on the CPU: every section runs, and one that fails costs itself."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from light_training import share_compiled, skip_charts

from bench import __main__ as command
from bench import gpu, gpu_decoding, models, raw, training
from bench.outcome import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.contests import Options


def test_a_section_that_fails_costs_itself_only(options: Options) -> None:
    """What it had measured stays, its error is an outcome, and the next one runs."""

    def fails(_options: Options) -> Iterator[Outcome]:
        yield Outcome(contest="gpu", title="measured before")
        raise ZeroDivisionError("of all\nthings")

    def works(_options: Options) -> Iterator[Outcome]:
        yield Outcome(contest="gpu", title="measured after")

    found = list(gpu.run(options, sections={"a": fails, "b": works}))
    assert [outcome.title for outcome in found] == [
        "measured before",
        "section a",
        "measured after",
    ]
    assert found[1].absent == {"a": "failed: ZeroDivisionError: of all things"}


def test_when_the_time_is_up_the_rest_is_named(
    options: Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A section that is running ends behind its outcome; those behind it are listed as not run."""
    clock = iter([0.0, 1.0, 20.0, 30.0])
    monkeypatch.setattr(gpu.time, "monotonic", lambda: next(clock))

    def endless(_options: Options) -> Iterator[Outcome]:
        while True:
            yield Outcome(contest="gpu", title="one more")

    asked = replace(options, seconds=10.0)
    found = list(gpu.run(asked, sections={"a": endless, "b": endless}))
    assert [outcome.title for outcome in found] == ["one more", "section a", "section b"]
    assert found[1].absent == {"a": "cut short: the 10 s were up"}
    assert found[2].absent == {"b": "not run: the 10 s were up"}


def test_without_a_gpu_there_is_one_line_and_exit_code_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is measured, nothing is saved."""
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(SystemExit) as stopped:
        command.main(["gpu"])
    assert stopped.value.code == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "bench gpu: device 'cuda:0' not found" in shown.err
    assert len(shown.err.splitlines()) == 1


@pytest.mark.slow
def test_every_section_runs_on_the_cpu(options: Options, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a few images, no section fails; int8, which was not made, is absent."""
    monkeypatch.setattr(models, "best_product", lambda *_: 100.0)
    monkeypatch.setattr(training, "EPOCHS", 1)
    skip_charts(monkeypatch)
    share_compiled(monkeypatch)
    small = options.checkpoint("resnet18").load()[1].preprocess
    monkeypatch.setattr(raw, "Preprocess", lambda: small)
    monkeypatch.setattr(gpu_decoding, "IMAGES", {"thumbnails": 12})
    found = list(gpu.run(replace(options, seconds=1800.0)))
    assert not [outcome for outcome in found if outcome.title.startswith("section")]
    assert {outcome.contest for outcome in found} == {
        *("gpu", "dirty", "raw", "ceilings", "models", "score", "train")
    }
