"""A threshold a class: `labels` in every format, read back by the reader of `vocscore eval`."""

from __future__ import annotations

import json

import numpy as np
import pyarrow.parquet as pq
import pytest

from vocscore.evaluation.predictions import read_predictions
from vocscore.scoring.formats.choice import choose
from vocscore.scoring.formats.selection import EVERYTHING, Selection
from vocscore.scoring.output.rows import Rows

CLASSES = ("cat", "dog", "cow")
THRESHOLDS = (0.2, 0.7, 0.123457)


def write(file, values, *, selection=EVERYTHING):
    """One unit with a row for each line of values."""
    form = choose(file, folder_format=None).open(
        CLASSES, THRESHOLDS, selection=selection, origin={}
    )
    rows = Rows([f"{i}.jpg" for i in range(len(values))], np.asarray(values, np.float32), {})
    part = file.with_suffix(".part")
    with part.open("wb") as opened:
        form.write(opened, rows)
    with file.open("wb") as opened:
        form.merge(opened, [part])
    return file


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_every_class_has_its_own_threshold(tmp_path, suffix):
    """A class is a label from its own threshold on, ties as float32 included."""
    below = np.nextafter(np.float32(THRESHOLDS), np.float32(0))
    values = [THRESHOLDS, below, [0.5, 0.5, 0.5], [0.1, 0.9, 0.1]]
    found = read_predictions(write(tmp_path / f"out.{suffix}", values))
    assert found.predicted.astype(int).tolist() == [[1, 1, 1], [0, 0, 0], [1, 0, 1], [0, 1, 0]]


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_probabilities_alone_tell_no_decisions(tmp_path, suffix):
    """Without the column of labels, the reader says that nothing was decided."""
    file = write(
        tmp_path / f"out.{suffix}", [[0.5] * 3], selection=Selection(columns="probabilities")
    )
    assert read_predictions(file).predicted is None


def test_parquet_keeps_the_thresholds(tmp_path):
    """The metadata has one number a class, in the order of the classes."""
    file = write(tmp_path / "out.parquet", [[0.5] * 3])
    about = json.loads(pq.read_metadata(file).metadata[b"vocscore"])
    assert about["threshold"] == list(THRESHOLDS)
