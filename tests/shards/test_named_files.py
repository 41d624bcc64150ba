"""Images by the names that tables and JSON files give them, and what is said of those missing."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING

import pytest
from tables import labels, read

from shards.errors import Reason, SourceError
from shards.sources.missing_hint import folders_below
from shards.sources.named_files import How, NamedFiles

if TYPE_CHECKING:
    from pathlib import Path

ACCENTS = "Kühe/ñandú é.jpg"
COMPOSED, DECOMPOSED = (unicodedata.normalize(form, ACCENTS) for form in ("NFC", "NFD"))


def make(root: Path, *names: str) -> NamedFiles:
    """Empty files below a folder."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return NamedFiles(root)


@pytest.mark.parametrize(
    ("text", "file", "how"),
    [
        ("x/a.jpg", "x/a.jpg", How.EXACT),
        (".\\x\\a.jpg", "x/a.jpg", How.EXACT),
        ("x//y/../a.jpg", "x/a.jpg", How.EXACT),
        (" a.jpg", " a.jpg", How.EXACT),
        (" a.jpg ", "a.jpg", How.BLANKS),
        ("x/a%20b%C3%BC.jpg", "x/a bü.jpg", How.ESCAPES),
        ("a%20b.jpg", "a%20b.jpg", How.EXACT),
        (COMPOSED, DECOMPOSED, How.ACCENTS),
        (DECOMPOSED, COMPOSED, How.ACCENTS),
        ("X/A.JPG", "x/a.jpg", How.CASE),
        ("x/a", "x/a.jpg", How.SUFFIX),
        ("x\\img.01", "x/img.01.PNG", How.SUFFIX),
        ("x/a.jpg", "x/a.jpg.jpg", How.SUFFIX),
    ],
)
def test_names_that_mean_a_file(tmp_path: Path, text: str, file: str, how: How) -> None:
    """A name that differs only in how it is written means the one file that is there."""
    found = make(tmp_path, file, "x/other.jpg", "x/a.txt").find(text)
    assert found == (file, how)


@pytest.mark.parametrize(
    ("text", "files"),
    [
        ("a", ("a.jpg", "a.png")),
        ("A.JPG", ("a.jpg", "a.Jpg")),
        ("x/a", ("x/a.txt", "y/a.jpg")),
        ("x/a.png", ("x/a.jpg",)),
        ("X/a.jpg", ("x/b.jpg", "xx/a.jpg")),
        ("a.jpg", ("a.jpg/b.jpg",)),
        ("x\0.jpg", ("a.jpg",)),
        ("x" * 300, ("a.jpg",)),
    ],
)
def test_names_that_mean_none(tmp_path: Path, text: str, files: tuple[str, ...]) -> None:
    """Where several files are as near, or none is, nothing is taken."""
    assert make(tmp_path, *files).find(text) is None


def test_the_exact_name_comes_first(tmp_path: Path) -> None:
    """A file of the very name is never passed over for one that is nearly so."""
    files = make(tmp_path, "a", "a.jpg", "A.jpg", COMPOSED, DECOMPOSED)
    for name in ("a", "a.jpg", "A.jpg", COMPOSED, DECOMPOSED):
        assert files.find(name) == (name, How.EXACT)


def test_urls_of_files(tmp_path: Path) -> None:
    """A file:// URL into the root is a path like any other."""
    files = make(tmp_path, "x/a b.jpg")
    for begin in ("file://", "FILE://", "file://localhost"):
        assert files.find(f"{begin}{tmp_path}/x/a%20b.jpg") == ("x/a b.jpg", How.EXACT)
    with pytest.raises(ValueError, match="passwd"):
        files.find("file:///etc/passwd")


def test_a_folder_to_begin_at(tmp_path: Path) -> None:
    """Names may begin at a folder below the root, and lead out of that one, but not of the root."""
    files = make(tmp_path, "images/a.jpg", "json/b.jpg")
    assert files.find("b.jpg", base="json") == ("json/b.jpg", How.EXACT)
    assert files.find("../images/a.jpg", base="json") == ("images/a.jpg", How.EXACT)
    assert files.find(f"{tmp_path}/images/a.jpg", base="json") == ("images/a.jpg", How.EXACT)
    with pytest.raises(ValueError):
        files.find("../../a.jpg", base="json")


@pytest.mark.parametrize(
    ("paths", "files", "said"),
    [
        (
            ("src/p0.jpg", "src/p1.jpg"),
            ("p0.jpg", "p1.jpg"),
            "They would match below {above}: give that folder as SRC.",
        ),
        (
            ("p0.jpg", "p1.jpg"),
            ("photos/2024/p0.jpg", "photos/2024/p1.jpg", "photos/2023/p0.jpg"),
            "They would match below {root}/photos/2024: give that folder as SRC.",
        ),
        (
            ("old/x/p0.jpg", "old/x/y/p1.jpg"),
            ("p0.jpg", "y/p1.jpg"),
            "They would match without 'old/x/': remove it from the paths.",
        ),
        (
            ("C:\\me\\p0.jpg", "C:\\me\\p1.jpg"),
            ("p0.jpg", "p1.jpg"),
            "They would match without 'C:/me/': remove it from the paths.",
        ),
        (
            ("gs://bucket/p0.jpg",),
            ("p0.jpg",),
            "They would match without 'gs://bucket/': remove it from the paths.",
        ),
        (
            ("p0.jpg", "p1.jpg"),
            ("cats/p0.jpg", "dogs/p1.jpg"),
            "There is cats/p0.jpg: write paths relative to {root}.",
        ),
        (("p0.png",), ("p0.jpg",), "There is p0.jpg: correct the suffix."),
        (("p0",), ("p0.jpg", "p0.png"), "Write the suffix: there are p0.jpg and p0.png."),
        (
            ("p0.jpg",),
            ("q.jpg",),
            "Write paths relative to {root}, or give the folder that they are relative to as SRC.",
        ),
    ],
)
def test_where_they_would_match(
    tmp_path: Path, paths: tuple[str, ...], files: tuple[str, ...], said: str
) -> None:
    """A table of which no path matches a file is refused, and says where they would match."""
    root = tmp_path / "src"
    make(root, *files)
    with pytest.raises(SourceError) as caught:
        read(root, "path,labels\n" + "".join(f"{path},cat\n" for path in paths))
    count = "the path matches no" if len(paths) == 1 else f"none of {len(paths)} paths matches a"
    assert str(caught.value).startswith(f"{root / 'labels.csv'}: {count} file below {root}: ")
    assert f"{paths[0]} (line 2)" in str(caught.value)
    assert str(caught.value).endswith(said.format(root=root, above=tmp_path))


@pytest.mark.parametrize("path", ["/data/p0.jpg", "../p0.jpg", "..\\..\\media\\4\\p0.jpg"])
def test_outside_the_root(tmp_path: Path, path: str) -> None:
    """A path out of the root is refused with its line and the part to remove."""
    make(tmp_path, "p0.jpg")
    begin = path.replace("\\", "/").removesuffix("p0.jpg")
    with pytest.raises(SourceError) as caught:
        read(tmp_path, f"path,labels\n{path},cat\n")
    assert f"line 2: path {path!r} is not inside" in str(caught.value)
    assert f"They would match without {begin!r}" in str(caught.value)


def test_several_outside_the_root(tmp_path: Path) -> None:
    """Paths of another machine are refused together: the first, three more, and the cure."""
    make(tmp_path, *(f"p{i}.jpg" for i in range(6)))
    rows = "".join(f"/home/me/photos/p{i}.jpg,cat\n" for i in range(6))
    with pytest.raises(SourceError) as caught:
        read(tmp_path, f"path,labels\n{rows}")
    assert str(caught.value) == (
        f"{tmp_path / 'labels.csv'}, line 2: path '/home/me/photos/p0.jpg' is not inside "
        f"{tmp_path}, nor are /home/me/photos/p1.jpg (line 3), /home/me/photos/p2.jpg (line 4), "
        "/home/me/photos/p3.jpg (line 5) and 2 more. They would match without '/home/me/photos/': "
        "remove it from the paths."
    )


def test_some_missing(tmp_path: Path) -> None:
    """Missing images beside others are rejected one by one; a note shows the first three."""
    make(tmp_path, "sub/n2.jpg", "sub/n3.jpg", "sub/n4.jpg")
    rows = "".join(f"n{i}.jpg,cat\n" for i in range(1, 6))
    found = read(tmp_path, f"path,labels\n{rows}", "n1.jpg")
    assert labels(found) == {"n1.jpg": ("cat",)}
    assert [(bad.path, bad.fault.reason) for bad in found.rejected] == [
        (f"n{i}.jpg", Reason.MISSING) for i in range(2, 6)
    ]
    assert found.rejected[0].fault.detail == "named in labels.csv, line 3; no such file"
    first = "n2.jpg (line 3), n3.jpg (line 4), n4.jpg (line 5) and 1 more"
    hint = f"They would match below {tmp_path / 'sub'}: give that folder as SRC."
    assert found.notes == (f"labels.csv: 4 of 5 paths match no file: {first}. {hint}",)


def test_names_that_were_bent_are_counted(tmp_path: Path) -> None:
    """A note counts the names that are written otherwise than the files, one line for each way."""
    found = read(tmp_path, "path,labels\na,cat\nb,cat\nC.jpg,cat\n", "a.jpg", "b.png", "c.jpg")
    assert labels(found).keys() == {"a.jpg", "b.png", "c.jpg"}
    assert found.notes == (
        "labels.csv: 2 paths written without the suffix, such as a",
        "labels.csv: 1 path written with different capitalization, such as C.jpg",
    )


@pytest.mark.parametrize("names", [("A.jpg", "a.jpg"), ("a.jpg", "A.jpg"), ("a", "A.JPG")])
def test_two_names_of_one_file(tmp_path: Path, names: tuple[str, str]) -> None:
    """Where a file would be taken for two names, one may mean an image that is not there."""
    table = "path,label\n" + "".join(f"{name},{name}\n" for name in names)
    with pytest.raises(SourceError, match=r"labels\.csv, line 3: .* both match 'a\.jpg'"):
        read(tmp_path, table, "a.jpg")


def test_one_name_in_several_rows(tmp_path: Path) -> None:
    """One name in several rows is one image, also where it is not quite the file's."""
    found = read(tmp_path, "path,label\np0,cat\n./p0,dog\np0,cat\n", "p0.jpg")
    assert labels(found) == {"p0.jpg": ("cat", "dog")}
    assert found.notes[-1] == "labels.csv: 1 path written without the suffix, such as p0"


def test_the_search_for_a_hint_is_bounded(tmp_path: Path) -> None:
    """Folders are looked into nearest first, two deep, and not more than 2,000 of them."""
    for number in range(30):
        for deeper in range(80):
            (tmp_path / f"{number:02d}" / f"{deeper:02d}").mkdir(parents=True)
    (tmp_path / "00" / "00" / "deep").mkdir()
    below = list(folders_below(tmp_path))
    assert below[:30] == [f"{number:02d}" for number in range(30)]
    assert len(below) == 2000
    assert "00/00/deep" not in below
