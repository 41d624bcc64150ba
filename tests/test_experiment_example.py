"""docs/examples/experiment.py: what it trains, what it does not train again, and what it writes."""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import vocscore

if TYPE_CHECKING:
    import pytest

SCRIPT = Path(__file__).parents[1] / "docs" / "examples" / "experiment.py"


class Program:
    """Packs and trains at no cost: it writes what the script reads."""

    def __init__(self, *, split: str, splits: tuple[str, ...]) -> None:
        self.split, self.splits = split, splits
        self.packed: list[int] = []
        self.trained: list[dict[str, Any]] = []

    def pack(self, source: Path, output: Path, *, seed: int) -> None:
        self.packed.append(seed)
        output.mkdir(parents=True)
        rule = {"split": self.split, "seed": seed}
        manifest = {"config": rule, "splits": {key: {} for key in self.splits}}
        (output / "dataset.json").write_text(json.dumps(manifest))

    def train(self, shards: Path, run: Path, **options: Any) -> None:
        self.trained.append({"shards": shards.name, "run": run.name, **options})
        run.mkdir(parents=True)
        samples = {"iou": 0.4, "precision": 0.5, "recall": 0.6}
        judged = {"samples": samples, "mean_average_precision": 0.1 * (1 + options["seed"])}
        (run / "metrics.json").write_text(json.dumps({"val": judged}))


def experiment(
    program: Program, monkeypatch: pytest.MonkeyPatch, *words: object
) -> list[dict[str, Any]]:
    """Run the script; what it trained."""
    monkeypatch.setattr(vocscore, "pack", program.pack, raising=False)
    monkeypatch.setattr(vocscore, "train", program.train, raising=False)
    monkeypatch.setattr(sys, "argv", ["experiment.py", *map(str, words)])
    program.trained.clear()
    runpy.run_path(str(SCRIPT), run_name="__main__")
    return program.trained


def test_trained_on_all_but_what_judges(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A test split judges, and all others are trained on; otherwise val judges."""
    for splits, expected in (
        (("train", "val", "test"), ("train,val", "test")),
        (("train", "val"), ("train", "val")),
    ):
        program = Program(split="voc", splits=splits)
        trained = experiment(program, monkeypatch, tmp_path, "-o", tmp_path / expected[1])
        assert [one["backbone"] for one in trained] == ["alexnet", "resnet18", "googlenet"]
        assert {(one["train_split"], one["val_split"]) for one in trained} == {expected}


def test_what_is_finished_is_not_done_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A second call trains nothing and writes the same table, the published figures in it."""
    program, words = Program(split="voc", splits=("train", "val")), (tmp_path, "-o", tmp_path / "o")
    assert len(experiment(program, monkeypatch, *words)) == 3
    table = (tmp_path / "o" / "accuracy.md").read_text()
    assert experiment(program, monkeypatch, *words) == []
    assert (tmp_path / "o" / "accuracy.md").read_text() == table
    cells = "0.579 | 0.400 | 0.698 | 0.500 | 0.626 | 0.600 | 0.100"
    assert f"| alexnet | baseline | {cells} |" in table
    assert table in capsys.readouterr().out


def test_seeds_have_splits_of_their_own_where_a_ratio_splits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same for all recipes; lists know no seed, and are packed once. Means have a deviation."""
    words = ["--backbones", "squeezenet1_1", "--recipes", "baseline", "strong", "--seeds", 2]
    for split, shards in (("ratio", ["shards", "shards-4"]), ("voc", ["shards", "shards"])):
        out = tmp_path / split
        program = Program(split=split, splits=("train", "val"))
        trained = experiment(program, monkeypatch, tmp_path, "-o", out, *words, "--first-seed", 3)
        assert [(one["seed"], one["recipe"]) for one in trained] == [
            *((3, "baseline"), (3, "strong"), (4, "baseline"), (4, "strong"))
        ]
        assert [one["shards"] for one in trained[::2]] == shards
        assert program.packed == [3, 4][: len(set(shards))]
        cells = " |  | ".join(f"{value} ± 0.000" for value in ("0.400", "0.500", "0.600"))
        assert (
            f"| squeezenet1_1 | strong |  | {cells} | 0.450 ± 0.071 |"
            in (out / "accuracy.md").read_text()
        )
