"""Which source a folder is read as."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from shards.errors import SourceError
from shards.sources.names import NAMES, WITH_COLUMN, WITH_FILE, WITH_SEPARATOR
from shards.sources.registry import SOURCES, choose
from shards.sources.source import Request, Tree

COCO = '{"images": [], "annotations": [], "categories": []}'
FOLDERS = {
    "voc": {"JPEGImages/a.jpg": "", "Annotations/a.xml": ""},
    "coco": {"a.jpg": "", "all.json": COCO},
    "table": {"a.jpg": "", "labels.csv": "path,labels\na.jpg,cat\n"},
    "folders": {"cat/a.jpg": "", "dog/b.jpg": ""},
    "hf": {"train/a.jpg": "", "train/metadata.jsonl": '{"file_name": "a.jpg", "label": "cat"}\n'},
    "google": {"a.jpg": "", "import.csv": "TRAIN,gs://b/a.jpg,cat\n"},
    "roboflow": {"train/a.jpg": "", "train/_classes.csv": "filename, cat\na.jpg, 1\n"},
}


def put(root: Path, *layouts: str) -> Tree:
    for layout in layouts:
        for name, text in FOLDERS[layout].items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text, encoding="utf-8")
    return Tree(root)


@pytest.mark.parametrize("name", FOLDERS)
def test_each_is_recognized(tmp_path: Path, name: str) -> None:
    """A folder with the files of one source is that source, with the reason."""
    source, why = choose(put(tmp_path, name), Request())
    assert source.name == name
    assert why


@pytest.mark.parametrize(
    "both", [("voc", "roboflow"), ("hf", "google"), ("coco", "table"), ("table", "folders")]
)
def test_several_are_refused(tmp_path: Path, both: tuple[str, str]) -> None:
    """One line names those that look right, and the keyword that decides."""
    tree = put(tmp_path, *both)
    with pytest.raises(SourceError, match="looks like several sources") as caught:
        choose(tree, Request())
    assert all(f"`from_='{name}'`" in str(caught.value) for name in both)
    assert "\n" not in str(caught.value)
    assert all(choose(tree, Request(), name=name)[0].name == name for name in both)


@pytest.mark.parametrize("weak", ["coco", "table", "folders"])
def test_a_table_or_a_folder_does_not_make_voc_doubtful(tmp_path: Path, weak: str) -> None:
    """Any folder may have a JSON, a CSV and subfolders: other signs come first."""
    assert choose(put(tmp_path, "voc", weak), Request())[0].name == "voc"


def test_files_that_the_user_names_decide(tmp_path: Path) -> None:
    """--coco and --labels name the source, whatever the folder looks like."""
    tree = put(tmp_path, "voc", "folders")
    assert choose(tree, Request(coco=((tmp_path / "a.json", None),)))[0].name == "coco"
    assert choose(tree, Request(labels=tmp_path / "a.csv"))[0].name == "table"


@pytest.mark.parametrize(
    "names", [("train2017/a.jpg", "val2017/b.jpg"), ("images/a.jpg", "x/b.jpg"), ("cat/a.jpg",)]
)
def test_no_class_folders(tmp_path: Path, names: tuple[str, ...]) -> None:
    """Folders of splits, a folder 'images' and a single folder are not taken for classes."""
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert SOURCES["folders"].looks_like(Tree(tmp_path)) is None


@pytest.mark.parametrize("name", ["coco", "folders", "hf", "roboflow"])
def test_no_split_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """A folder that cannot be listed may contain a split, so the set is not read without it."""
    tree = put(tmp_path, name)
    (tmp_path / "valid").mkdir()
    scandir = os.scandir

    def refusing(path: Path) -> object:
        if Path(path).name == "valid":
            raise PermissionError(errno.EACCES, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    assert choose(tree, Request())[0].name == name
    with pytest.raises(SourceError, match="valid: cannot be listed: Permission denied"):
        SOURCES[name].read(tree, Request())


def test_the_only_folder_is_the_set(tmp_path: Path) -> None:
    """As in most archives: one line says which folder to give."""
    put(tmp_path / "pets", "folders")
    with pytest.raises(SourceError, match=r"one folder deeper: folders .* Give .*/pets\.$"):
        choose(Tree(tmp_path), Request())
    (tmp_path / "other").mkdir()
    (tmp_path / "other/b.jpg").touch()
    assert choose(Tree(tmp_path), Request())[0].name == "folders"


def test_names_agree() -> None:
    """Every source has a name that --from takes, and the lists of options name sources."""
    assert tuple(SOURCES) == NAMES
    assert {*WITH_FILE, *WITH_COLUMN, *WITH_SEPARATOR} <= set(NAMES)
