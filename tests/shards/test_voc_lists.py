"""Lists of ImageSets/Main as programs write them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from shards.errors import Reason, SourceError
from shards.sources.voc.read import read_voc

if TYPE_CHECKING:
    from pathlib import Path

    from shards.sample import AnnotatedSet


def tree(root: Path, *stems: str, lists: dict[str, str | bytes]) -> AnnotatedSet:
    """Read a tree with these images, annotated as cats, and these lists."""
    for stem in stems:
        for folder, end, text in (
            ("JPEGImages", ".jpg", ""),
            ("Annotations", ".xml", "<annotation><object><name>cat</name></object></annotation>"),
        ):
            file = root / folder / f"{stem}{end}"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
    main = root / "ImageSets" / "Main"
    main.mkdir(parents=True)
    for name, content in lists.items():
        data = content.encode() if isinstance(content, str) else content
        (main / name).write_bytes(data)
    return read_voc(root)


def split(found: AnnotatedSet, name: str) -> list[str]:
    """The stems of a split."""
    paths = found.splits[name]
    return sorted(path.removeprefix("JPEGImages/").removesuffix(".jpg") for path in paths)


@pytest.mark.parametrize(
    "line",
    [
        *("a", "a.jpg", "a.JPG", "a.jpeg", "a.xml", "a 1", "a -1", "a  0", "a.jpg 1", "a.jpg\t-1"),
        *("JPEGImages/a.jpg", "./JPEGImages/a.jpg", "Annotations/a.xml", "JPEGImages/a"),
        *("/data/VOC2012/JPEGImages/a.jpg", "C:\\data\\JPEGImages\\a.jpg", "C:\\pics\\a.jpg"),
        *("/home/me/pics/a.jpg", "data/obj_train_data/a.jpg", '"a.jpg"', "'a'"),
        *("./JPEGImages/a.jpg ./Annotations/a.xml", "JPEGImages/a.jpg\tAnnotations/a.xml"),
    ],
)
def test_lines(tmp_path: Path, line: str) -> None:
    """An id, a file name or a path, with a flag or an annotation behind it, names the image."""
    found = tree(tmp_path, "a", "b", lists={"train.txt": f"{line}\n", "val.txt": "b\n"})
    assert (split(found, "train"), split(found, "val")) == (["a"], ["b"])
    assert (found.rejected, found.notes) == ((), ())


def test_the_line_as_it_stands_comes_first(tmp_path: Path) -> None:
    """Stems that look like a suffix or a flag are stems."""
    stems = ("a", "a 1", "a.jpg", "a b", "JPEGImages")
    lists: dict[str, str | bytes] = {"train.txt": "a 1\na.jpg\n", "val.txt": "a b\nJPEGImages\na\n"}
    found = tree(tmp_path, *stems, lists=lists)
    assert split(found, "train") == ["a 1", "a.jpg"]
    assert split(found, "val") == ["JPEGImages", "a", "a b"]


def test_nested_ids(tmp_path: Path) -> None:
    """Paths below JPEGImages/ are told apart; a folder that is not there is not made up for."""
    stems = ("a", "cam1/a", "cam2/b")
    lines = "cam1/a\nJPEGImages/cam2/b.jpg\ncam3/a\n"
    found = tree(tmp_path, *stems, lists={"train.txt": lines})
    assert split(found, "train") == ["cam1/a", "cam2/b"]
    assert [(r.path, r.fault.reason) for r in found.rejected] == [
        ("JPEGImages/cam3/a.jpg", Reason.MISSING)
    ]


def test_a_name_of_two_words_is_not_its_first(tmp_path: Path) -> None:
    """'a b' where there is only 'a' is missing: another image must not stand in for it."""
    found = tree(tmp_path, "a", "c", lists={"train.txt": "a b\nc\n"})
    assert split(found, "train") == ["c"]
    assert [r.path for r in found.rejected] == ["JPEGImages/a b.jpg"]


@pytest.mark.parametrize("name", ["valid.txt", "validation.txt", "Val.txt", "VALIDATION.TXT"])
def test_other_names_of_lists(tmp_path: Path, name: str) -> None:
    """A list of validation images under its other usual names is 'val', and a note says so."""
    found = tree(tmp_path, "a", "b", lists={"train.txt": "a\n", name: "b\n"})
    assert (split(found, "train"), split(found, "val")) == (["a"], ["b"])
    (note,) = found.notes
    assert f"{name} as 'val'" in note
    assert "train.txt as 'train'" in note


def test_lists_that_are_not_read_are_named(tmp_path: Path) -> None:
    """Lists of other names are left aside with a note; those of single classes without one."""
    lists: dict[str, str | bytes] = {"train.txt": "a\n", "val.txt": "b\n", "default.txt": "a\n"}
    lists |= {"cat_train.txt": "a 1\n", "person_val.txt": "b -1\n", "my_train.txt": "a\n"}
    found = tree(tmp_path, "a", "b", lists=lists)
    assert set(found.splits) == {"train", "val"}
    (note,) = found.notes
    assert "ignored: default.txt, my_train.txt" in note
    assert "train.txt as 'train', val.txt as 'val'" in note
    assert "cat_train" not in note


def test_only_lists_of_single_classes(tmp_path: Path) -> None:
    """Where there are no others, the note says that there are such lists."""
    found = tree(tmp_path, "a", lists={"cat_train.txt": "a 1\n", "cat_val.txt": "a -1\n"})
    assert found.splits == {}
    assert found.notes == (
        "ImageSets/Main/: ignored: 2 per-class lists; no list covers all classes",
    )


def test_the_class_train_has_lists_of_its_own(tmp_path: Path) -> None:
    """train_val.txt is the list of VOC's class 'train', and no list of trainval."""
    found = tree(tmp_path, "a", "b", lists={"train_val.txt": "a 1\n", "train.txt": "b\n"})
    assert found.splits == {"train": {"JPEGImages/b.jpg"}}


def test_two_lists_of_one_split(tmp_path: Path) -> None:
    """val.txt and valid.txt are one list where they agree, else an error that names both."""
    same: dict[str, str | bytes] = {"train.txt": "a\n", "val.txt": "b\n", "valid.txt": "b.jpg\n"}
    assert split(tree(tmp_path / "same", "a", "b", lists=same), "val") == ["b"]
    other: dict[str, str | bytes] = {"val.txt": "b\n", "valid.txt": "a\n"}
    with pytest.raises(SourceError, match=r"val\.txt and valid\.txt are both lists of 'val'"):
        tree(tmp_path / "other", "a", "b", lists=other)


def test_lines_that_name_nothing(tmp_path: Path) -> None:
    """They are missing, each once with its lists, and a note says how many and the first."""
    lists: dict[str, str | bytes] = {"train.txt": "a\nx.png\ny\n", "test.txt": "y\n"}
    found = tree(tmp_path, "a", lists=lists)
    assert [(r.path, r.fault.reason) for r in found.rejected] == [
        ("JPEGImages/x.png", Reason.MISSING),
        ("JPEGImages/y.jpg", Reason.MISSING),
    ]
    assert "test.txt, ImageSets/Main/train.txt" in found.rejected[1].fault.detail
    assert "ImageSets/Main/train.txt: 2 of 3 lines match neither an image" in found.notes[1]
    assert found.notes[1].endswith("first: x.png")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_encodings_of_lists(tmp_path: Path, encoding: str) -> None:
    """UTF-8 with a mark or without, and UTF-16 as PowerShell redirects it."""
    found = tree(tmp_path, "é", "b", lists={"train.txt": "é\r\nb\r\n".encode(encoding)})
    assert split(found, "train") == ["b", "é"]


def test_lists_right_in_imagesets(tmp_path: Path) -> None:
    """Without Main/, the lists are looked for in ImageSets/ itself."""
    found = tree(tmp_path, "a", "b", lists={})
    assert found.splits == {}
    (tmp_path / "ImageSets/Main").rmdir()
    (tmp_path / "ImageSets/train.txt").write_text("a\n")
    assert read_voc(tmp_path).splits == {"train": {"JPEGImages/a.jpg"}}


def test_blank_lines_of_any_kind(tmp_path: Path) -> None:
    """A line of a no-break space alone is a line that names nothing, and no crash."""
    found = tree(tmp_path, "a", lists={"train.txt": "a\n\u00a0\n\t\n"})
    assert split(found, "train") == ["a"]
    assert len(found.rejected) == 1
