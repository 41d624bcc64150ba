"""The contests on a small network and few small images: who takes part, and who is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from bench import __main__ as program
from bench import ceilings, matrix, models, results, score, training
from bench.contests import CONTESTS, Contest
from bench.images import make_images
from bench.outcome import Outcome
from bench.timing import Rate

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bench.images import Images
    from bench.options import Options
    from bench.subjects import Subject


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Images:
    """A dozen thumbnails."""
    return make_images(tmp_path_factory.mktemp("few") / "p", images=12, kind="thumbnails")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """No time for large matrix products."""
    for module in (models, ceilings):
        monkeypatch.setattr(module, "best_product", lambda _kind: 100.0)


@pytest.mark.usefixtures("quick")
def test_models_compares_every_way_with_eager_float32(small_subject: Subject) -> None:
    """All that can run have a rate; int8, which was not made, is absent with the cure."""
    outcome = models.compare_models(small_subject, repeats=1, images=4)
    assert outcome.baseline == "eager float32"
    assert {"vocscore, default", "vocscore, float32"} <= set(outcome.rates)
    assert "quantize" in outcome.absent["vocscore, int8"]
    found = outcome.facts["agreement"]
    assert isinstance(found, dict)
    assert found["vocscore, float32"]["largest_difference"] < 0.001
    gflop = outcome.facts["gflop_per_image"]
    assert isinstance(gflop, float)
    assert outcome.rates["matrix product, bf16"].median == pytest.approx(100 / gflop)


@pytest.mark.usefixtures("quick")
def test_models_refuses_a_runtime_that_answers_something_else(
    small_subject: Subject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A runtime that is fast because it is wrong gets no rate."""

    class Wrong:
        in_flight = 1

        def probabilities(self, images: torch.Tensor) -> np.ndarray:
            return np.full((len(images), 20), 0.9, np.float32)

    opened = ({"default": Wrong()}, {})
    monkeypatch.setattr(models, "open_precisions", lambda _subject: opened)
    outcome = models.compare_models(small_subject, repeats=1, images=4)
    assert "vocscore, default" not in outcome.rates
    assert outcome.absent["vocscore, default"].startswith("refused")


def test_operations_are_counted_as_the_layers_say() -> None:
    """Two operations for each multiplication and addition: a linear layer, a convolution."""
    linear = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 4 * 4, 7))
    assert matrix.gflop_per_image(linear, size=4) * 1e9 == pytest.approx(2 * 48 * 7)
    convolution = torch.nn.Conv2d(3, 5, 3, padding=1)
    assert matrix.gflop_per_image(convolution, size=8) * 1e9 == pytest.approx(2 * 64 * 5 * 27)


def test_a_matrix_product_has_a_rate() -> None:
    """Some GFLOP/s, on every machine."""
    assert matrix.best_product("float32", sides=(64,)) > 0.01


@pytest.mark.usefixtures("quick")
def test_ceilings_of_every_stage(
    small_subject: Subject, images: Images, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Read, decode and batch; the network; arithmetic; bytes and rows to the disk."""
    monkeypatch.setattr(ceilings, "WRITTEN_BYTES", 1000)
    monkeypatch.setattr(ceilings, "WRITTEN_ROWS", 10)
    stages = ceilings.measure_images(images.refs, repeats=1)
    assert list(stages.rates) == [ceilings.READ, ceilings.DECODE, ceilings.BATCH]
    network = ceilings.measure_models([small_subject], repeats=1, images=4)
    assert "squeezenet1_1, default" in network.rates
    assert ceilings.measure_products(repeats=1).rates["bf16"] == Rate((100.0,))
    disk, rows = ceilings.measure_writing(tmp_path / "written", repeats=1)
    assert (disk.unit, rows.unit) == ("MB/s", "rows/s")
    assert len((tmp_path / "written" / "rows.csv").read_text().splitlines()) == 10


def test_score_beside_the_usual_loop_and_its_walls(
    small_subject: Subject, images: Images, tmp_path: Path
) -> None:
    """Every contestant has a rate, and the share is of the slower stage of the two."""
    outcome = score.compare_scoring(small_subject, images, tmp_path / "s", repeats=1)
    ours = score.ours("default")
    assert {score.USUAL, score.DECODE, score.ceiling("default"), ours} <= set(outcome.rates)
    assert outcome.walls[ours] in (score.DECODE, score.ceiling("default"))
    assert score.ours("int8") in outcome.absent


def test_the_wall_is_the_slower_of_two_stages() -> None:
    """Decoding, or the network."""
    for decode, wall in ((10.0, score.DECODE), (90.0, score.ceiling("x"))):
        rates = {score.DECODE: Rate((decode,)), score.ceiling("x"): Rate((50.0,))}
        assert score.binding("x", rates) == wall


def test_rows_of_other_images_are_refused(tmp_path: Path) -> None:
    """A CSV with a name too few, or an error, is no evidence."""
    file = tmp_path / "p.csv"
    file.write_text("path,status,error,cat,labels\na.jpg,ok,,0.5,cat\nb.jpg,error,empty,,\n")
    with pytest.raises(ValueError, match="one good row"):
        score.read_probabilities(file, ["a.jpg", "b.jpg"])
    file.write_text("path,status,error,cat,labels\na.jpg,ok,,0.5,cat\n")
    assert score.read_probabilities(file, ["a.jpg"]).tolist() == [[0.5]]
    with pytest.raises(ValueError, match="one good row"):
        score.read_probabilities(file, ["b.jpg"])


@pytest.mark.slow
def test_trained_heads_equal_the_plain_loops(
    small_subject: Subject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And a plain loop that stops early trains another head, which is noticed."""
    monkeypatch.setattr(training, "EPOCHS", 4)
    found = training.prove_equal(small_subject, tmp_path)
    assert found.largest_difference < 0.02
    (tmp_path / "again").mkdir()

    def one_epoch(*words: object, epochs: int) -> torch.nn.Linear:
        del epochs
        return training.train_plainly(*words, epochs=1)  # type: ignore[arg-type]

    with pytest.raises(ValueError, match="beyond"):
        training.prove_equal(small_subject, tmp_path / "again", plain=one_epoch)


def test_json_has_rows_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Standard output is one JSON line an outcome; text for people goes to standard error."""
    monkeypatch.setattr(program, "environment", dict)
    monkeypatch.setattr(results, "environment", dict)
    outcome = Outcome(contest="dirty", title="a title", rates={"a": Rate((1.0,))})
    asked = []

    def run(options: Options) -> Iterator[Outcome]:
        asked.append(options)
        yield outcome
        yield replace(outcome, title="another")

    monkeypatch.setitem(CONTESTS, "dirty", Contest(run, "help"))
    words = ["dirty", "--json", "--results", str(tmp_path), "--kind", "png", "--images", "7"]
    program.main(words)
    printed = capsys.readouterr()
    rows = [json.loads(line) for line in printed.out.splitlines()]
    assert [row["title"] for row in rows] == ["a title", "another"]
    assert "a title" in printed.err
    assert (asked[0].kind, asked[0].images) == ("png", 7)
    assert len((tmp_path / "dirty.jsonl").read_text().splitlines()) == 2
