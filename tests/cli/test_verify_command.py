"""`vocscore verify`: its exit codes, and what --duplicates prints and writes."""

from __future__ import annotations

import csv
import json
import shutil
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner, Result
from PIL import Image

import vocscore as vs
from shards.synthetic.voc import draw_voc
from vocscore.cli.main import main

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """16 drawn images and a smaller copy of each, four of the copies in another split."""
    root = tmp_path_factory.mktemp("verify")
    drawn = draw_voc(root / "drawn", images=16, seed=3)
    (root / "in").mkdir()
    rows = ["path,labels,split"]
    for i, file in enumerate(sorted((drawn / "JPEGImages").glob("*.jpg"))):
        shutil.copy(file, root / "in" / f"{i}.jpg")
        image = Image.open(file)
        image.resize((image.width * 3 // 4, image.height * 3 // 4)).save(root / "in" / f"{i}s.jpg")
        rows += [f"{i}.jpg,cat,train", f"{i}s.jpg,{'dog' if i == 0 else 'cat'},"]
        rows[-1] += "val" if i < 4 else "train"
    (root / "labels.csv").write_text("\n".join(rows) + "\n")
    vs.pack(root / "in", root / "shards", labels=root / "labels.csv", progress=False)
    return root / "shards"


def verify(*words: object) -> Result:
    result = CliRunner().invoke(main, ["verify", *map(str, words)])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def test_duplicates_are_printed_and_written(shards: Path, tmp_path: Path) -> None:
    """Each copy is named with both splits; the table, the JSON and `vs.verify` have the same."""
    table, summary = tmp_path / "d.csv", tmp_path / "d.json"
    done = verify(shards, "--duplicates", "--csv", table, "--json", summary)
    assert done.exit_code == 0, done.output
    assert "val: 4 of 4 images have a near duplicate in another split" in done.stdout
    assert "train: 4 of 28 images have" in done.stdout
    assert "across splits: 4 pairs (0 exact copies, 1 with different labels)" in done.stdout
    rows = list(csv.DictReader(table.open(newline="")))
    pairs = [{row["path"], row["other_path"]} for row in rows]
    assert sorted(map(sorted, pairs)) == sorted([f"{i}.jpg", f"{i}s.jpg"] for i in range(16))
    assert [row["split"] != row["other_split"] for row in rows] == [True] * 4 + [False] * 12
    assert {row["labels_differ"] for row in rows} == {"", "cat;dog"}
    value = json.loads(summary.read_text())
    assert value["problems"] == []
    assert [pair["path"] for pair in value["duplicates"]["pairs"]] == [row["path"] for row in rows]
    report = vs.verify(shards, duplicates=True, progress=False)
    assert report.duplicates is not None
    assert [pair.path for pair in report.duplicates.pairs] == [row["path"] for row in rows]


def test_duplicates_are_only_looked_for_on_request(shards: Path) -> None:
    """Without --duplicates nothing is said of them."""
    assert verify(shards).stdout == f"{shards}: no problems found\n"
    assert vs.verify(shards, progress=False).duplicates is None


def test_a_smaller_distance_finds_fewer(shards: Path) -> None:
    """--distance is the largest distance of a pair."""
    report = vs.verify(shards, duplicates=True, distance=0, progress=False)
    assert report.duplicates is not None
    assert {pair.distance for pair in report.duplicates.pairs} <= {0}


def test_a_damaged_set_exits_with_1(shards: Path, tmp_path: Path) -> None:
    """Its problems are printed, and that the search was not possible."""
    damaged = shutil.copytree(shards, tmp_path / "damaged")
    next(damaged.glob("*.idx")).unlink()
    done = verify(damaged, "--duplicates")
    assert done.exit_code == 1
    assert "cannot be read" in done.stdout
    assert "near duplicates were not searched: " in done.stdout


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("--csv", "d.csv"), "--csv FILE.csv lists near duplicates: add --duplicates."),
        (("--duplicates", "--csv", "nowhere/d.csv"), "no such folder"),
        (("--duplicates", "--json", "d.txt"), "name a file that ends in .json"),
    ],
)
def test_outputs_are_checked_before_the_work(
    shards: Path, words: tuple[str, ...], line: str
) -> None:
    """A wrong path is exit code 2, with one line."""
    done = verify(shards, *words)
    assert done.exit_code == 2
    assert line in done.stderr


def test_a_table_does_not_replace_a_file_of_the_set(shards: Path) -> None:
    """--csv SHARDS/rejected.csv is refused."""
    before = (shards / "rejected.csv").read_bytes()
    done = verify(shards, "--duplicates", "--csv", shards / "rejected.csv")
    assert (done.exit_code, (shards / "rejected.csv").read_bytes()) == (2, before)
    assert "is the packed set" in done.stderr
