"""`vocscore pack` of plain folders: tables, COCO files, and what is said where they do not fit."""

from __future__ import annotations

import io
import json
import shlex
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner
from PIL import Image

from shards.manifest import read_manifest
from shards.reader import load_split
from vocscore.cli.main import main

if TYPE_CHECKING:
    from pathlib import Path


def run(*words: object) -> tuple[int, str]:
    """Exit code and everything printed."""
    result = CliRunner().invoke(main, [str(word) for word in words])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.output


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder of four small images, p0.jpg to p3.jpg."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(4):
        file = io.BytesIO()
        Image.new("RGB", (12, 10), (number * 60, 90, 120)).save(file, "JPEG")
        (folder / f"p{number}.jpg").write_bytes(file.getvalue())
    return folder


def write(file: Path, *lines: str) -> Path:
    """Write a table."""
    file.write_text("".join(f"{line}\n" for line in lines))
    return file


def coco(file: Path, *names: str) -> Path:
    """Write a COCO file of images with a cat each."""
    value = {
        "images": [{"id": at, "file_name": name} for at, name in enumerate(names)],
        "annotations": [{"image_id": at, "category_id": 3} for at, _ in enumerate(names)],
        "categories": [{"id": 3, "name": "cat"}, {"id": 4, "name": "dog"}],
    }
    file.write_text(json.dumps(value))
    return file


def test_a_separator_is_asked_for_and_recorded(photos: Path, tmp_path: Path) -> None:
    """Blanks between tags stop pack before it writes; --label-separator goes on, and is kept."""
    table = write(tmp_path / "t.csv", "image_name,tags", "p0,haze primary", "p1,haze", "p2,primary")
    out = tmp_path / "out"
    code, output = run("pack", photos, "--labels", table, "-o", out)
    assert (code, output.count("\n")) == (2, 1)
    assert "line 2, column 'tags': 'haze primary' may be one class, or several" in output
    assert not out.exists()
    code, output = run("pack", photos, "--labels", table, "--label-separator", " ", "-o", out)
    assert code == 0, output
    manifest = read_manifest(out)
    assert manifest.classes == ("haze", "primary")
    assert manifest.config["label_separator"] == " "
    assert "note: t.csv: paths are in 'image_name', labels in 'tags'\n" in output


def test_the_default_separator_leaves_no_trace(photos: Path, tmp_path: Path) -> None:
    """Without --label-separator the manifest is what it was before there was one."""
    table = write(tmp_path / "t.csv", "path,labels", "p0.jpg,cat;dog", "p1.jpg,dog")
    assert run("pack", photos, "--labels", table, "-o", tmp_path / "out", "-q") == (0, "")
    assert read_manifest(tmp_path / "out").config == {
        "split": "ratio",
        "train_fraction": 0.7,
        "seed": 0,
        "shard_samples": 1000,
        "verify": True,
        "max_pixels": 200_000_000,
        "resize": None,
        "quality": None,
    }


def test_a_table_relative_to_another_folder(photos: Path, tmp_path: Path) -> None:
    """Paths that match no file: one line that says where they would, and no output folder."""
    rows = [f"photos/p{number}.jpg,{number % 2}" for number in range(4)]
    table = write(tmp_path / "t.csv", "path,cat", *rows)
    code, output = run("pack", photos, "--labels", table, "-o", tmp_path / "out")
    assert (code, output.count("\n")) == (2, 1)
    assert "photos/p0.jpg (line 2), photos/p1.jpg (line 3), photos/p2.jpg (line 4)" in output
    assert f"They would match below {tmp_path}: give that folder as SRC." in output
    assert not (tmp_path / "out").exists()
    assert run("pack", tmp_path, "--labels", table, "-o", tmp_path / "out", "-q") == (0, "")


def test_splits_of_a_table(photos: Path, tmp_path: Path) -> None:
    """A column 'split' decides the splits; what it leaves blank is counted."""
    rows = ("p0.jpg,cat,train", "p1.jpg,dog,valid", "p2.jpg,cat,test", "p3.jpg,dog,")
    table = write(tmp_path / "t.csv", "path,labels,split", *rows)
    code, output = run("pack", photos, "--labels", table, "-o", tmp_path / "out")
    assert code == 0, output
    names = {
        split: [ref.name for ref in load_split(tmp_path / "out", split).images]
        for split in ("train", "val", "test")
    }
    assert names == {"train": ["p0.jpg"], "val": ["p1.jpg"], "test": ["p2.jpg"]}
    assert "left out, in none of these splits: 1 image" in output


def test_several_coco_files(photos: Path, tmp_path: Path) -> None:
    """Each --coco is a split, named by its file or by the user."""
    train, rest = coco(tmp_path / "train.json", "p0.jpg", "p1.jpg"), coco(tmp_path / "r.json", "p2")
    words = ("pack", photos, "--coco", train, "-o", tmp_path / "out", "--coco")
    code, output = run(*words, rest)
    assert (code, output.count("\n")) == (2, 1)
    assert f"--coco train={rest}" in output
    code, output = run(*words, f"val={rest}")
    assert code == 0, output
    manifest = read_manifest(tmp_path / "out")
    assert {name: split.samples for name, split in manifest.splits.items()} == {
        "train": 2,
        "val": 1,
    }
    assert manifest.classes == ("cat", "dog")


@pytest.mark.parametrize("split", ["", "val="])
def test_the_command_that_splits_one_coco_file(photos: Path, tmp_path: Path, split: str) -> None:
    """Where a set has one split, the command that is printed runs and packs it by a ratio."""
    folder = tmp_path / "it's a"
    folder.mkdir()
    file = coco(folder / "val.json", "p0.jpg", "p1.jpg", "p2.jpg", "p3.jpg")
    out = tmp_path / "the out"
    code, output = run("pack", photos, "--coco", f"{split}{file}", "--train-fraction", 1, "-o", out)
    assert code == 0, output
    printed = output.rpartition("to split it by a ratio: ")[2]
    code, output = run(*shlex.split(printed)[1:])
    assert code == 0, output
    assert set(read_manifest(out).splits) == {"train", "val"}


def test_a_file_name_with_an_equals_sign(photos: Path, tmp_path: Path) -> None:
    """A COCO file whose own name has '=' in it is not taken for a split and a file."""
    file = coco(tmp_path / "a=b.json", "p0.jpg", "p1.jpg")
    assert run("pack", photos, "--coco", file, "-o", tmp_path / "out", "-q") == (0, "")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--labels", "TABLE", "--coco", "COCO"], "two sources of labels"),
        (["--label-separator", "|"], "--label-separator is for the table of --labels"),
        (["--coco", "COCO", "--label-separator", "|"], "is for the table of --labels"),
        (["--labels", "TABLE", "--label-separator", ""], "--label-separator is empty"),
        (["--coco", "none.json"], "--coco none.json: no such file"),
        (["--coco", "val=none.json"], "--coco none.json: no such file"),
        (["--coco", "FOLDER"], ": a folder, not a file"),
    ],
)
def test_options_that_do_not_fit(photos: Path, tmp_path: Path, words: list[str], said: str) -> None:
    """Options that contradict each other, or name nothing, exit 2 and say so."""
    files = {
        "TABLE": write(tmp_path / "t.csv", "path,labels", "p0.jpg,cat"),
        "COCO": coco(tmp_path / "c.json", "p0.jpg"),
        "FOLDER": tmp_path,
    }
    given = [files.get(word, word) for word in words]
    code, output = run("pack", photos, *given, "-o", tmp_path / "out")
    assert code == 2
    assert said in output
