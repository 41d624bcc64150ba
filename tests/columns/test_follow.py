"""Runs that are still being written are read part by part."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import numpy as np
import pytest
from written_predictions import HOSTILE, draw

from vocscore.columns.open import open_table
from vocscore.errors import EvalError
from vocscore.scoring.formats.choice import choose

if TYPE_CHECKING:
    from pathlib import Path

    from written_predictions import Drawn


def write_part(drawn: Drawn, output: Path, number: int) -> None:
    """Write ten rows and the mark of their part, as scoring does."""
    work = output.with_name(f"{output.name}.parts")
    work.mkdir(exist_ok=True)
    (work / "started.json").write_bytes(drawn.record(finished="").to_bytes())
    rows_format = drawn.open(choose(output, folder_format=None))
    with (work / f"part-{number:06d}{rows_format.suffix}").open("wb") as file:
        rows_format.write(file, drawn.part(10 * number, 10 * number + 10))
    (work / f"part-{number:06d}.json").write_text(json.dumps({"rows": 10}))


@pytest.mark.parametrize("name", ["p.csv", "p.jsonl", "p.parquet"])
@pytest.mark.parametrize("classes", [3, 1500])
def test_parts_are_taken_in_as_they_come(name: str, classes: int, tmp_path: Path) -> None:
    """In the order in which they are found; with names that no text can hold, and with lines longer
    than a buffer.
    """
    known = [f"class {c}" for c in range(classes)]
    drawn = draw(40, known, names=HOSTILE, failing=(12,))
    output = tmp_path / name
    write_part(drawn, output, 0)
    table = open_table(output)
    assert not table.complete
    assert not table.refresh()
    for number in (3, 1):
        write_part(drawn, output, number)
        assert table.refresh()
    rows = [*range(10), *range(30, 40), *range(10, 20)]
    assert table.paths(range(30)) == [drawn.names[row] for row in rows]
    want = drawn.probabilities[rows]
    want[rows.index(12)] = np.nan
    np.testing.assert_array_equal(table.table(np.arange(30)), want)
    assert table.detail(rows.index(12)) == "detail of 12"


def test_a_part_without_its_mark_is_not_read(tmp_path: Path) -> None:
    """It may not be whole."""
    drawn, output = draw(20), tmp_path / "p.csv"
    write_part(drawn, output, 0)
    write_part(drawn, output, 1)
    (tmp_path / "p.csv.parts" / "part-000001.json").unlink()
    assert open_table(output).rows == 10


def test_the_finished_output_takes_the_place_of_its_parts(tmp_path: Path) -> None:
    """Rows are in its order then, and nothing follows."""
    drawn, output = draw(20), tmp_path / "p.csv"
    write_part(drawn, output, 1)
    table = open_table(output)
    drawn.write(output)
    shutil.rmtree(tmp_path / "p.csv.parts")
    assert table.refresh()
    assert table.complete
    assert tuple(table.paths(range(20))) == drawn.names
    assert not table.refresh()


def test_a_run_that_was_removed_is_said(tmp_path: Path) -> None:
    """With the name of its output; the rows so far stay."""
    output = tmp_path / "p.csv"
    write_part(draw(20), output, 0)
    table = open_table(output)
    shutil.rmtree(tmp_path / "p.csv.parts")
    with pytest.raises((EvalError, OSError), match=r"p\.csv"):
        table.refresh()
    assert table.rows == 10
