"""Labels from the class lists of VOC, and tables of predictions about their images."""

from __future__ import annotations

import csv
import json
from itertools import compress
from typing import TYPE_CHECKING, Any

import numpy as np

from shards.classes import VOC_CLASSES

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray


class Truth:
    """What the lists in ImageSets/Main say, read without this project's code."""

    def __init__(self, tree: Path, split: str) -> None:
        folder = tree / "ImageSets" / "Main"
        self.keys = sorted((folder / f"{split}.txt").read_text().split())
        mean = {1: 1, -1: 0, 0: -1}
        columns = []
        for name in VOC_CLASSES:
            lines = (folder / f"{name}_{split}.txt").read_text().splitlines()
            marks = dict(line.split() for line in lines)
            columns.append([mean[int(marks[key])] for key in self.keys])
        self.labels: NDArray[np.int8] = np.array(columns, dtype=np.int8).T
        self.paths = [f"JPEGImages/{key}.jpg" for key in self.keys]
        noise = np.random.default_rng(0).random(self.labels.shape, dtype=np.float32)
        self.guesses = (noise * 0.8 + 0.2 * (self.labels == 1)).astype(np.float32)


def write(
    file: Path,
    paths: Sequence[str],
    guesses: NDArray[np.float32],
    *,
    classes: Sequence[str] = VOC_CLASSES,
    failed: Sequence[str] = (),
    predicted: NDArray[np.bool_] | None = None,
) -> Path:
    """A table as scoring writes it; `predicted` is what the last column says, or nothing."""
    decided = np.zeros(guesses.shape, np.bool_) if predicted is None else predicted
    with file.open("w", newline="") as stream:
        out = csv.writer(stream)
        out.writerow(["path", "status", "error", *classes, "labels"])
        for path, row, above in zip(paths, guesses, decided, strict=True):
            labels = ";".join(compress(classes, above))
            if path in failed:
                out.writerow([path, "error", "empty: no bytes", *[""] * len(classes), ""])
            else:
                out.writerow([path, "ok", "", *(str(value) for value in row), labels])
    return file


def plain(value: Any) -> Any:
    """Without the not-defined, which equals nothing."""
    return json.loads(json.dumps(value, allow_nan=False))
