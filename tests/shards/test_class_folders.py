"""One folder per class, held against torchvision's `ImageFolder`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PIL import Image
from torchvision.datasets import ImageFolder

from shards.errors import Reason, SourceError
from shards.sources.class_folders.read import read_class_folders
from shards.sources.source import Tree

if TYPE_CHECKING:
    from shards.sample import AnnotatedSet


def draw(root: Path, name: str, color: int) -> None:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 8), (color, 255 - color, 7)).save(root / name, "PNG")


def labels(found: AnnotatedSet) -> dict[str, tuple[str, ...]]:
    return {sample.path: sample.present for sample in found.samples}


def test_it_agrees_with_torchvision(tmp_path: Path) -> None:
    """The same images, classes and labels; subfolders of a class belong to it."""
    names = ["emu/b.png", "cat/x/y/a.png", "cat/a.png", "Zoo/a.png", "emu/a.PNG"]
    for color, name in enumerate(names):
        draw(tmp_path, name, color)
    oracle = ImageFolder(tmp_path)
    wanted = {
        Path(path).relative_to(tmp_path).as_posix(): (oracle.classes[at],)
        for path, at in oracle.samples
    }
    found = read_class_folders(Tree(tmp_path))
    assert labels(found) == wanted
    assert sorted(found.names()) == oracle.classes
    assert not found.splits


def test_split_folders(tmp_path: Path) -> None:
    """train/, valid/ and test/ are the splits, the folders in them the classes."""
    for color, name in enumerate(("train/cat/a.png", "train/dog/b.png", "valid/cat/c.png")):
        draw(tmp_path, name, color)
    found = read_class_folders(Tree(tmp_path))
    assert found.splits == {
        "train": {"train/cat/a.png", "train/dog/b.png"},
        "val": {"valid/cat/c.png"},
    }
    assert labels(found)["valid/cat/c.png"] == ("cat",)


def test_links_and_equal_files_are_one_image(tmp_path: Path) -> None:
    """By hard link, symbolic link, or equal name and bytes: all labels, the first path."""
    for color, name in enumerate(("cat/a.png", "cat/b.png", "cat/c.png", "dog/d.png")):
        draw(tmp_path, name, color)
    os.link(tmp_path / "cat/a.png", tmp_path / "dog/other.png")
    (tmp_path / "dog/b.png").symlink_to("../cat/b.png")
    draw(tmp_path, "dog/c.png", 2)
    found = read_class_folders(Tree(tmp_path))
    both = ("cat", "dog")
    assert labels(found) == {
        **dict.fromkeys(("cat/a.png", "cat/b.png", "cat/c.png"), both),
        "dog/d.png": ("dog",),
    }
    (note,) = found.notes
    assert "3 files joined" in note
    assert "2 by link, 1 by equal name and bytes" in note
    assert "3 images with several labels" in note


def test_equal_names_alone_say_nothing(tmp_path: Path) -> None:
    """1.png of two folders are two images, also if only a byte in the middle differs."""
    for folder, middle in (("cat", b"x"), ("dog", b"y")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "1.png").write_bytes(bytes(9000) + middle + bytes(9000))
    found = read_class_folders(Tree(tmp_path))
    assert labels(found) == {"cat/1.png": ("cat",), "dog/1.png": ("dog",)}
    assert not found.notes


def test_equal_bytes_under_other_names_are_counted(tmp_path: Path) -> None:
    """They stay apart; so do those in two splits, which would leak."""
    draw(tmp_path, "cat/a.png", 1)
    draw(tmp_path, "dog/b.png", 1)
    found = read_class_folders(Tree(tmp_path))
    assert len(found.samples) == 2
    assert "2 images with the bytes of another under different names" in found.notes[0]
    other = tmp_path / "splits"
    draw(other, "train/cat/a.png", 1)
    draw(other, "test/cat/a.png", 1)
    found = read_class_folders(Tree(other))
    assert len(found.samples) == 2
    assert "2 images with the bytes of another in different splits" in found.notes[0]


def test_what_is_left_out_is_named(tmp_path: Path) -> None:
    """An image in the root, a link to nothing, other files and empty folders."""
    draw(tmp_path, "cat/a.png", 1)
    draw(tmp_path, "dog/b.png", 2)
    draw(tmp_path, "root\n.png", 3)
    (tmp_path / "dog/gone.png").symlink_to("nowhere")
    (tmp_path / "dog/notes.txt").touch()
    (tmp_path / "emu").mkdir()
    found = read_class_folders(Tree(tmp_path))
    assert {bad.path: bad.fault.reason for bad in found.rejected} == {
        "dog/gone.png": Reason.MISSING,
        "root\n.png": Reason.NOT_ANNOTATED,
    }
    assert any("1 .txt; first: dog/notes.txt" in note for note in found.notes)
    assert "no images in emu/" in found.notes


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    """In split folders too, with subfolders or without."""
    for color, name in enumerate(("train/train/x/a.png", "test/train/b.png", "test/bus/c.png")):
        draw(tmp_path, name, color)
    found = read_class_folders(Tree(tmp_path))
    assert set(found.names()) == {"bus", "train"}
    assert set(found.splits) == {"train", "test"}


@pytest.mark.parametrize(
    ("names", "match"),
    [
        (("a.png", "b.png"), "no image is in a folder of its class"),
        (("train/cat/a.png", "other/cat/b.png"), "train/ is named like splits, but other/ is not"),
        (
            ("train_set/cat/a.png", "test_set/cat/b.png", "extra/cat/c.png"),
            "test_set/cat/, train_set/cat/ look like one class .* to test/cat/, train/cat/",
        ),
        (
            ("training_set/training_set/cat/a.png", "test_set/test_set/cat/b.png"),
            "to test/cat/, train/cat/",
        ),
        (
            ("train/training_set/cat/a.png", "test/test_set/cat/b.png"),
            "test/test_set/cat/, train/training_set/cat/ look like",
        ),
    ],
)
def test_refused(tmp_path: Path, names: tuple[str, ...], match: str) -> None:
    """One line says what is wrong."""
    for color, name in enumerate(names):
        draw(tmp_path, name, color)
    with pytest.raises(SourceError, match=match):
        read_class_folders(Tree(tmp_path))
