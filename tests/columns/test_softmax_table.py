"""Predictions of a softmax model: a table, its labels at other thresholds, and relabeling."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from written_predictions import Drawn, draw

import vocscore as vs
from vocscore.columns.open import open_table
from vocscore.records.score_record import read_record, record_file
from vocscore.records.thresholds_file import write_thresholds
from vocscore.scoring.formats.choice import choose
from vocscore.scoring.formats.selection import Selection

if TYPE_CHECKING:
    from pathlib import Path

ROWS = 30


def drawn() -> Drawn:
    """Probabilities that sum to 1, two of a row nearly equal now and then."""
    made = draw(ROWS, failing=(4,))
    random = np.random.default_rng(5)
    values = random.dirichlet((1.0, 1.0, 1.0), ROWS).astype(np.float32)
    values[7] = (0.40004, 0.40001, 0.19995)
    values[8] = (0.40001, 0.40004, 0.19995)
    return replace(made, probabilities=values, threshold=0.0)


def write(predictions: Drawn, file: Path, **selected: Any) -> Path:
    """As `score` writes them, with the record of a softmax model."""
    choice, selection = choose(file, folder_format=None), Selection(**selected)
    record = predictions.record(output=choice.described(selection, predictions.classes))
    record = replace(record, model=replace(record.model, activation="softmax"))
    form = choice.open(
        predictions.classes, 0.0, selection=selection, origin={}, activation="softmax"
    )
    part = file.with_name("part")
    with part.open("wb") as opened:
        form.write(opened, predictions.rows)
    with file.open("wb") as opened:
        form.merge(opened, [part])
    part.unlink()
    record_file(file).write_bytes(record.to_bytes())
    return file


def test_a_link_to_predictions_finds_their_record(tmp_path: Path) -> None:
    """Its softmax then counts: every image has one label, whatever the path it was opened by."""
    real = tmp_path / "real"
    real.mkdir()
    file = write(drawn(), real / "p.csv")
    link = tmp_path / "link.csv"
    link.symlink_to(file)
    linked, direct = open_table(link), open_table(file)
    assert linked.record is not None
    assert linked.record == direct.record


@pytest.mark.parametrize("columns", ["all", "probabilities"])
def test_each_image_has_its_most_probable_class(tmp_path: Path, columns: str) -> None:
    """Whether the predictions contain labels or not, and at any threshold of a class."""
    made = drawn()
    table = open_table(write(made, tmp_path / "p.csv", columns=columns))
    best = made.probabilities.argmax(axis=1)
    fine = ~table.failed
    for c in range(3):
        assert table.decided(c)[fine].tolist() == (best == c)[fine].tolist()
        for threshold in (0.0, 0.45, 0.9):
            wanted = (best == c) & (made.probabilities[:, c] >= np.float32(threshold))
            assert table.predicted(c, threshold)[fine].tolist() == wanted[fine].tolist()
    assert table.decided_row(0).tolist() == (np.arange(3) == best[0]).tolist()


@pytest.mark.parametrize("decimals", [None, 2])
def test_relabeling_keeps_one_class(tmp_path: Path, decimals: int | None) -> None:
    """Also where rounding makes two classes equal; a threshold can only take a class away."""
    made = drawn()
    source = write(made, tmp_path / "p.csv", decimals=decimals)
    write_thresholds(tmp_path / "t.json", {"cat": 0.5})
    vs.relabel(source, tmp_path / "new.csv", thresholds_file=tmp_path / "t.json", progress=False)
    table = open_table(tmp_path / "new.csv")
    best = made.probabilities.argmax(axis=1)
    # a new threshold decides about what was written
    cat = made.probabilities[:, 0] if decimals is None else made.probabilities[:, 0].round(decimals)
    for row in range(ROWS):
        if table.failed[row]:
            continue
        reached = best[row] != 0 or cat[row] >= 0.5
        expected = [int(best[row])] if reached else []
        assert table.decided_row(row).nonzero()[0].tolist() == expected, row
    record = read_record(record_file(tmp_path / "new.csv"))
    assert record is not None
    assert record.model.activation == "softmax"
