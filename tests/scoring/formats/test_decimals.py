"""`--decimals`: what is rounded, how, and what is not."""

from __future__ import annotations

import csv
import json
import re
from dataclasses import replace
from decimal import ROUND_HALF_EVEN, Decimal
from typing import TYPE_CHECKING

import numpy as np
import pyarrow.parquet as pq
import pytest
from written_predictions import draw

from vocscore.evaluation.predictions import read_predictions
from vocscore.scoring.formats.choice import choose
from vocscore.scoring.formats.selection import Selection
from vocscore.scoring.relabel import relabel

if TYPE_CHECKING:
    from pathlib import Path

    from written_predictions import Drawn

CLASSES = ("cat", "dog", "bird")


def hard(rows: int = 300) -> Drawn:
    """Probabilities of any size: ties of rounding, tiny ones, the ends, next to the threshold."""
    drawn = draw(rows, CLASSES, failing=(5,))
    generator = np.random.default_rng(1)
    bits = generator.integers(0, 0x3F800001, (rows, 3)).astype(np.int32).view(np.float32)
    values = np.where(generator.random((rows, 3)) < 0.5, drawn.probabilities, bits)
    values[0], values[1], values[2] = [0, 1, 0.125], [0.0625, 0.375, 1e-9], [0.4996, 0.5, 0.5004]
    values[3] = np.nextafter(np.float32(0.5), np.float32([0, 1, 0]))
    values[5] = 0
    return replace(drawn, probabilities=values.astype(np.float32))


def exact(value: np.float32, decimals: int) -> str:
    """The text, by decimal arithmetic on the exact value."""
    step = Decimal(1).scaleb(-decimals)
    return f"{Decimal(float(value)).quantize(step, ROUND_HALF_EVEN):f}"


@pytest.mark.parametrize("decimals", range(1, 10))
def test_numbers_are_rounded_like_decimals(decimals: int, tmp_path: Path) -> None:
    """In text half-even with N digits after the point; in Parquet the float32 of that text."""
    drawn = hard()
    selection = Selection(decimals=decimals)
    good = [row for row in range(len(drawn.names)) if row not in drawn.failures]
    want = [[exact(value, decimals) for value in drawn.probabilities[row]] for row in good]
    with drawn.write(tmp_path / "p.csv", selection=selection).open(newline="") as opened:
        rows = [row for row in csv.DictReader(opened) if row["status"] == "ok"]
    assert [[row[name] for name in CLASSES] for row in rows] == want
    lines = drawn.write(tmp_path / "p.jsonl", selection=selection).read_text().splitlines()
    texts = [re.findall(r'": ([0-9.]+)[,}]', lines[row]) for row in good]
    assert texts == want
    assert json.loads(lines[0])["probabilities"]["dog"] == 1
    table = pq.read_table(drawn.write(tmp_path / "p.parquet", selection=selection))
    for c, name in enumerate(CLASSES):
        found = table[name].to_numpy()[good]
        np.testing.assert_array_equal(found, np.float32([row[c] for row in want]))


@pytest.mark.parametrize("name", ["p.csv", "p.jsonl", "p.parquet"])
def test_everything_else_is_decided_before(name: str, tmp_path: Path) -> None:
    """Labels are those of the exact file: 0.4996 is written as 0.5 and is no label at 0.5."""
    drawn = hard()
    exactly = read_predictions(drawn.write(tmp_path / f"exact-{name}"))
    rounded = read_predictions(drawn.write(tmp_path / name, selection=Selection(decimals=1)))
    assert rounded.predicted is not None
    assert exactly.predicted is not None
    np.testing.assert_array_equal(rounded.predicted, exactly.predicted)
    assert rounded.probabilities[2].tolist() == [0.5] * 3
    assert rounded.predicted[2].tolist() == [False, True, True]
    difference = np.abs(rounded.probabilities - exactly.probabilities)
    assert np.nanmax(difference) <= 0.05 + 1e-7


def test_the_largest_are_chosen_and_sorted_before(tmp_path: Path) -> None:
    """Equal after rounding, they stay in the order of the exact numbers; so does the minimum."""
    drawn = draw(1, CLASSES, names=("a",))
    drawn.probabilities[0] = [0.501, 0.504, 0.496]
    selection = Selection(top_k=3, min_probability=0.5, decimals=2)
    file = drawn.write(tmp_path / "p.csv", selection=selection)
    assert file.read_text().splitlines()[1] == "a,ok,,dog,0.50,cat,0.50,,,cat;dog"
    file = drawn.write(tmp_path / "p.jsonl", selection=replace(selection, top_k=1))
    assert json.loads(file.read_text())["probabilities"] == {"dog": 0.5}


@pytest.mark.parametrize("decimals", [1, 4, 7, 8, 9])
@pytest.mark.parametrize("name", ["p.csv", "p.jsonl", "p.parquet", "parts"])
def test_relabel_keeps_the_text(name: str, decimals: int, tmp_path: Path) -> None:
    """Only labels change; the record says how the numbers were rounded."""
    drawn = hard()
    selection = Selection(decimals=decimals)
    folder_format = "csv" if name == "parts" else None
    choice = choose(tmp_path / name, folder_format=folder_format)
    record = drawn.record(output=choice.described(selection, drawn.classes))
    source = drawn.write(
        tmp_path / name, folder_format=folder_format, selection=selection, record=record
    )
    thresholds = {"cat": 0.1, "dog": 0.75, "bird": 2.0}
    (tmp_path / "t.json").write_text(json.dumps(thresholds))
    relabel(source, tmp_path / f"new-{name}", thresholds_file=tmp_path / "t.json")
    numbers = read_predictions(source).probabilities
    rounded = replace(drawn, threshold=tuple(thresholds.values()), probabilities=numbers)
    rounded.probabilities[5] = 0
    (tmp_path / "want").mkdir()
    want = rounded.write(tmp_path / "want" / name, folder_format=folder_format, selection=selection)
    for part in sorted(want.iterdir()) if folder_format else [want]:
        found = tmp_path / f"new-{name}" / (part.name if folder_format else "")
        assert found.read_bytes() == part.read_bytes()
    if name == "p.csv":
        before, after = (
            [line.rpartition(",")[0] for line in file.read_text().splitlines()]
            for file in (source, tmp_path / f"new-{name}")
        )
        assert before == after


@pytest.mark.parametrize("decimals", [1, 2, 5])
@pytest.mark.parametrize("name", ["p.csv", "p.jsonl", "p.parquet"])
def test_relabel_keeps_decisions_whose_threshold_stays(
    name: str, decimals: int, tmp_path: Path
) -> None:
    """At the model's own thresholds the bytes are those of score, though 0.4996 is now 0.5."""
    drawn = replace(hard(), threshold=(0.5, 0.123456, 2.0))
    selection = Selection(decimals=decimals)
    choice = choose(tmp_path / name, folder_format=None)
    record = drawn.record(output=choice.described(selection, CLASSES))
    source = drawn.write(tmp_path / name, selection=selection, record=record)
    for values in ({}, {"cat": 0.5, "dog": 0.123456}):
        (tmp_path / "t.json").write_text(json.dumps(values))
        new = tmp_path / f"new-{name}"
        report = relabel(source, new, thresholds_file=tmp_path / "t.json", overwrite=True)
        assert new.read_bytes() == source.read_bytes()
        assert (report.changed, report.decimals) == (0, decimals)


def test_relabel_keeps_numbers_beside_labels_of_another_hand(tmp_path: Path) -> None:
    """Labels that were edited in a spreadsheet are replaced; probabilities are not touched."""
    drawn = draw(1, CLASSES, names=("a",))
    drawn.probabilities[0] = [0.125, 0.75, 0.5]
    output = {"format": "csv", "decimals": 2}
    file = drawn.write(
        tmp_path / "p.csv", selection=Selection(decimals=2), record=drawn.record(output=output)
    )
    before = file.read_text()
    assert before.endswith("a,ok,,0.12,0.75,0.50,dog;bird\n")
    file.write_text(before.replace("dog;bird", "cat"))
    (tmp_path / "t.json").write_text("{}")
    relabel(file, tmp_path / "q.csv", thresholds_file=tmp_path / "t.json")
    assert (tmp_path / "q.csv").read_text() == before.replace("dog;bird", "dog")
