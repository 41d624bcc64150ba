"""Sets with three splits, predictions for all of them, and what `vocscore eval` says of these."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
from click.testing import CliRunner
from quick_packing import pack_quickly
from voc_truth import Truth, plain

from shards.classes import VOC_CLASSES
from shards.sources.voc.read import read_voc
from shards.splitting.splits import split_by_lists
from vocscore.cli.main import main
from vocscore.evaluation.metrics import report

if TYPE_CHECKING:
    from pathlib import Path

TRAIN, VAL, TEST = 24, 16, 8


class Everything:
    """Predictions for the three splits of the drawn set."""

    def __init__(self, tree: Path) -> None:
        self.truth = {split: Truth(tree, split) for split in ("train", "val", "test")}
        self.paths = [path for truth in self.truth.values() for path in truth.paths]
        self.guesses = np.concatenate([truth.guesses for truth in self.truth.values()])

    def figures(self, *splits: str) -> Any:
        """What the figures of some splits have to be."""
        labels = np.concatenate([self.truth[split].labels for split in splits])
        guesses = np.concatenate([self.truth[split].guesses for split in splits])
        return plain(report(labels, guesses, threshold=0.5).to_json(VOC_CLASSES))


def pack_again(tree: Path, out: Path, *, splits: Any = None, resize: int | None = None) -> Path:
    """The tree as one shard per split."""
    annotated = read_voc(tree)
    chosen = splits or split_by_lists(annotated)
    return pack_quickly(annotated, chosen, out, shard_samples=100, resize=resize)


def judge(*words: object) -> tuple[dict[str, Any], str]:
    """The JSON and the text of a command that must succeed."""
    file = words[0].with_name("eval.json")  # type: ignore[attr-defined]
    fixed = ["--threshold", 0.5, "--resamples", 0, "--json", file]
    done = CliRunner().invoke(main, ["eval", *(str(word) for word in (*words, *fixed))])
    assert done.exit_code == 0, done.output
    return json.loads(file.read_text()), done.output


def refuse(*words: object) -> str:
    """The one line of a command that must fail with exit code 2."""
    done = CliRunner().invoke(main, ["eval", *map(str, words), "--threshold", "0.5"])
    assert done.exit_code == 2, done.output
    assert done.output.startswith("Error: ")
    assert done.output.count("\n") == 1
    return done.output


def figures(value: dict[str, Any]) -> dict[str, Any]:
    """The part of the JSON that `Report.to_json` gives."""
    kept = ("mean_average_precision", "samples", "micro", "macro", "classes", "pictures")
    return {name: value[name] for name in kept}
