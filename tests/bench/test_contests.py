"""The contests on a small network and few small images: what takes part, and what is refused."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import numpy as np
import pytest
import torch
from light_training import share_compiled, skip_charts

from bench import __main__ as program
from bench import (
    ceilings,
    checkpoints,
    contests,
    loaders,
    memory,
    models,
    processes,
    score,
    training,
)
from bench.contests import CONTESTS, Contest
from bench.outcome import Outcome
from bench.timing import Rate, timed_seconds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from bench.checkpoints import Checkpoint
    from bench.contests import Options
    from vocscore.runtime import Runtime


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """No time for large matrix products."""
    monkeypatch.setattr(models, "best_product", lambda *_: 100.0)


@pytest.mark.usefixtures("quick")
def test_models_compares_every_way_with_eager_float32(options: Options) -> None:
    """All that can run have a rate; int8, which was not made, is absent with the cure."""
    (outcome,) = models.run(options)
    assert models.TRUTH in outcome.peers
    assert {"vocscore, default", "vocscore, float32"} <= set(outcome.rates)
    assert "quantize" in outcome.absent["vocscore, int8"]
    found = outcome.facts["agreement"]
    assert isinstance(found, dict)
    assert found["vocscore, float32"]["largest_difference"] < 0.001
    gflop = outcome.facts["gflop_a_picture"]
    assert isinstance(gflop, float)
    assert outcome.rates["matrix product, bf16"].median == pytest.approx(100 / gflop)
    assert outcome.ceilings["vocscore, float32"] == "matrix product, float32"


@pytest.mark.usefixtures("quick")
def test_models_refuses_a_runtime_that_answers_something_else(
    options: Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A runtime that is fast because it is wrong gets no rate."""

    class Wrong:
        in_flight = 1

        def probabilities(self, images: torch.Tensor) -> np.ndarray:
            return np.full((len(images), 20), 0.9, np.float32)

    opened = ({"default": Wrong()}, {})
    monkeypatch.setattr(models, "open_precisions", lambda *_, **__: opened)
    (outcome,) = models.run(options)
    assert "vocscore, default" not in outcome.rates
    assert outcome.absent["vocscore, default"].startswith("refused")


def test_operations_are_counted_as_the_layers_say() -> None:
    """Two operations for each multiplication and addition: a linear layer, a convolution."""
    linear = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 4 * 4, 7))
    assert models.gflop_per_image(linear, size=4) * 1e9 == pytest.approx(2 * 48 * 7)
    convolution = torch.nn.Conv2d(3, 5, 3, padding=1)
    assert models.gflop_per_image(convolution, size=8) * 1e9 == pytest.approx(2 * 64 * 5 * 27)


def test_a_matrix_product_has_a_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some GFLOP/s, on every machine."""
    monkeypatch.setattr(models, "_SECONDS", 0.01)
    assert models.best_product("float32", sides=(64,)) > 0.01


@pytest.mark.parametrize("streams", [1, 2, 3, 8])
@pytest.mark.parametrize("images", [1, 64, 160, 640])
def test_every_stream_ends_with_the_same_number_of_batches(streams: int, images: int) -> None:
    """Batches are repeated, in order, to a multiple of those that run at once."""
    runtime = cast("Runtime", SimpleNamespace(at_once=streams))
    ready = [torch.full((32,), number) for number in range(5)]
    found = [int(batch[0]) for batch in models.enough(ready, runtime, number=images)]
    assert len(found) % streams == 0
    assert found == [n % 5 for n in range(len(found))]
    assert 0 <= len(found) * 32 - images < 32 * streams


@pytest.mark.parametrize(
    ("streams", "wanted", "images", "used"),
    [
        (2, 160, 640, 192),  # 5 groups of 32 become 6
        (2, 640, 640, 640),
        (8, 640, 640, 512),  # 20 groups become 16: there are no more than 20
        (8, 64, 640, 256),
        (8, 64, 100, 100),  # less than a round
        (1, 33, 640, 64),
    ],
)
def test_a_turn_of_score_is_whole_rounds(streams: int, wanted: int, images: int, used: int) -> None:
    """Every stream gets the same number of groups, if there are enough images."""
    runtime = cast("Runtime", SimpleNamespace(at_once=streams))
    assert models.whole_rounds(wanted, runtime, group=32, images=images) == used


def test_ceilings_of_every_stage(options: Options, monkeypatch: pytest.MonkeyPatch) -> None:
    """Read, decode and batch; rows to the disk."""
    monkeypatch.setattr(ceilings, "WRITTEN_ROWS", 10)
    stages, rows = ceilings.run(options)
    assert list(stages.rates) == [
        ceilings.READ,
        ceilings.DECODE,
        ceilings.LOOK,
        ceilings.HASH,
        ceilings.BATCH,
        ceilings.PACKED,
    ]
    assert rows.unit == "rows/s"
    assert len((options.scratch / "rows.csv").read_text().splitlines()) == 10


def test_score_beside_the_peers_and_its_ceilings(
    options: Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every contestant has a rate, and the share is of the slower stage of the two."""
    monkeypatch.setattr(score, "SCORED", ("default", "int8"))
    (outcome,) = score.run(options)
    ours = score.ours("default")
    assert {score.USUAL, score.DECODE, score.ceiling("default"), ours} <= set(outcome.rates)
    assert outcome.peers[0] == score.USUAL
    assert outcome.ceilings[ours] in (score.DECODE, score.ceiling("default"))
    assert score.ours("int8") in outcome.absent


def test_the_bottleneck_is_the_slower_of_two_stages() -> None:
    """Decoding, or the network."""
    for decode, slower in ((10.0, score.DECODE), (90.0, score.ceiling("x"))):
        rates = {score.DECODE: Rate((decode,)), score.ceiling("x"): Rate((50.0,))}
        assert score.bottleneck("x", rates) == slower


def test_rows_of_other_images_are_refused(tmp_path: Path) -> None:
    """A CSV with a missing name, or an error, is no evidence."""
    file = tmp_path / "p.csv"
    file.write_text("path,status,error,cat,labels\na.jpg,ok,,0.5,cat\nb.jpg,error,empty,,\n")
    with pytest.raises(ValueError, match="one good row"):
        score.read_probabilities(file, ["a.jpg", "b.jpg"])
    file.write_text("path,status,error,cat,labels\na.jpg,ok,,0.5,cat\n")
    assert score.read_probabilities(file, ["a.jpg"]).tolist() == [[0.5]]
    with pytest.raises(ValueError, match="one good row"):
        score.read_probabilities(file, ["b.jpg"])


def test_bad_files_are_counted(options: Options, monkeypatch: pytest.MonkeyPatch) -> None:
    """Four of twelve are bad, and a loader that finds another number is refused."""
    (outcome,) = loaders.dirty(options)
    kept = outcome.facts["kept"]
    assert isinstance(kept, dict)
    assert set(kept) == {"host", "dali"}
    monkeypatch.setattr(loaders, "damaged", lambda data, _kind: data)
    asked = replace(options, scratch=options.scratch / "again")
    asked.scratch.mkdir()
    with pytest.raises(ValueError, match="0 bad of 12, not 5 of 12"):
        list(loaders.dirty(asked))


def test_memory_per_input_is_the_slope() -> None:
    """Of the line through the runs."""
    runs = [memory.MemoryRun(n, 1000 + 250 * n, 1.0) for n in (10, 20, 1000)]
    assert memory.bytes_per_input(runs) == pytest.approx(250)


@pytest.mark.slow
def test_processes_are_watched(options: Options, monkeypatch: pytest.MonkeyPatch) -> None:
    """A start ends at its first rows; a process's peak is seen, and its rows are counted."""

    def once(work: dict[str, Callable[[], None]], **_: int) -> dict[str, Rate]:
        return {name: Rate((timed_seconds(one),)) for name, one in work.items()}

    monkeypatch.setattr(processes, "interleave_seconds", once)
    (outcome,) = processes.start(options)
    assert outcome.ceilings == {processes.FIRST: processes.IMPORT}
    monkeypatch.setattr(memory, "TIMES", (1, 2))
    (outcome,) = memory.per_input(options)
    runs = outcome.facts["runs"]
    assert isinstance(runs, list)
    assert [run["inputs"] for run in runs] == [12, 24]
    assert all(run["peak_bytes"] > 10_000_000 for run in runs)


@pytest.mark.slow
def test_large_images_are_scored_with_every_number_of_threads(
    options: Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each kind that is drawn has a row, and each process a peak."""
    monkeypatch.setattr(memory, "THREADS", (3,))
    monkeypatch.setattr(memory, "PHOTOGRAPH", (400, 300))
    monkeypatch.setattr(memory, "SCAN", (500, 300))
    monkeypatch.setattr(memory, "_SCANS", ("png",))
    (outcome,) = memory.large(options)
    runs = outcome.facts["runs"]
    assert isinstance(runs, list)
    assert [run["threads"] for run in runs] == [3]
    assert all(run["peak_bytes"] > 10_000_000 for run in runs)
    assert outcome.facts["files"] == 10 * (options.images or 0) + 3


@pytest.fixture
def trained(
    voc_tree: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Checkpoint:
    """What contests on real machines run on: a trained head, here on 48 drawn images."""
    monkeypatch.setattr(checkpoints, "_source", lambda _scratch: (voc_tree, "48 drawn images"))
    monkeypatch.setattr(checkpoints, "_weights", lambda _backbone: "none")
    monkeypatch.setattr(checkpoints, "_quantize", lambda _run, _shards: None)  # seconds
    skip_charts(monkeypatch)
    share_compiled(monkeypatch)
    scratch = tmp_path_factory.mktemp("trained")
    return checkpoints.make_checkpoint("squeezenet1_1", scratch, size=64)


@pytest.mark.slow
def test_trained_heads_equal_the_plain_loops(
    trained: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And a plain loop that stops early trains another head, which is noticed."""
    assert trained.weights == "random weights, head trained on 48 drawn images"
    monkeypatch.setattr(training, "EPOCHS", 4)
    assert training.prove_equal(trained, tmp_path).largest_difference < 0.02
    (tmp_path / "again").mkdir()
    epoch, turns = training.UsualTraining.epoch, iter([True])

    def only_once(self: training.UsualTraining, **options: bool) -> int:
        return epoch(self, **options) if next(turns, False) else 0

    monkeypatch.setattr(training.UsualTraining, "epoch", only_once)
    with pytest.raises(ValueError, match="beyond"):
        training.prove_equal(trained, tmp_path / "again")


def test_outcomes_are_printed_and_saved_as_they_come(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One row per outcome in the folder that was named, with the words of the command line."""
    monkeypatch.setattr(program, "environment", dict)
    monkeypatch.setattr("bench.results.environment", dict)
    outcome = Outcome(contest="dirty", title="a title", rates={"a": Rate((1.0,))})
    asked = []

    def run(options: Options) -> Iterator[Outcome]:
        asked.append(options)
        yield outcome
        yield replace(outcome, title="another")

    monkeypatch.setattr(loaders, "dirty", run)
    program.main(["dirty", "--results", str(tmp_path), "--kind", "png", "--images", "7"])
    rows = [json.loads(line) for line in (tmp_path / "dirty.jsonl").read_text().splitlines()]
    assert [row["title"] for row in rows] == ["a title", "another"]
    assert "a title" in capsys.readouterr().out
    assert (asked[0].kind, asked[0].images, asked[0].device) == ("png", 7, "cpu")


def test_every_contest_is_there_and_its_rows_name_a_gpu(
    options: Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The table of names leads to functions; a row of a GPU is never one of the CPU."""
    places = [contest.function.partition(":")[::2] for contest in CONTESTS.values()]
    assert all(callable(getattr(__import__(f"bench.{m}", fromlist=[n]), n)) for m, n in places)
    outcome = Outcome(contest="x", title="x", key={"kind": "voc"})
    monkeypatch.setattr(contests, "run", lambda _options: iter([outcome]), raising=False)
    keys = [
        one.key
        for device, _ in itertools.product(("cpu", "cuda:1"), (0,))
        for one in Contest("contests:run", "").run(replace(options, device=device))
    ]
    assert keys == [{"kind": "voc"}, {"kind": "voc", "device": "cuda:1"}]
