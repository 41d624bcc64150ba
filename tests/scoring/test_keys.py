from __future__ import annotations

import random
import tracemalloc
from typing import TYPE_CHECKING, NamedTuple

import pytest
from score_doubles import make_files

from vocscore.scoring.inputs import collector as collecting
from vocscore.scoring.inputs import keys as finding
from vocscore.scoring.inputs.keys import FoundKeys, find_keys
from vocscore.scoring.inputs.walk import walk

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

JPEG = b"\xff\xd8\xff\xe0" + bytes(600)
TAR = bytes(257) + b"ustar" + bytes(300)
FILES = {
    "b/x.JPG": b"",
    "a.png": b"",
    "a/z.jpeg": b"",
    "a-b.webp": b"",
    "é.bmp": b"",
    "x.jpg/y.jpg": b"",
    "a/deep/er/c.gif": b"",
    "Thumbs.db": b"1",
    "notes.TXT": b"text",
    "noext": b"nothing known",
    "empty": b"",
    "photo": JPEG,
    "a/shards": TAR,
    "a/packed.zip": b"PK",
    "labels.csv.gz": b"",
    "x.tar": b"",
    "a/y.tar.gz": b"",
    ".h.tar": b"",
    "._a.jpg": b"",
    ".cache/b.jpg": b"",
    ".cache/c.jpg": b"",
    ".cache/.more/c.jpg": b"",
    "b/.DS_Store": b"",
    "b/__MACOSX/._y.jpg": b"",
    "b/__MACOSX/b/._y.jpg": b"",
    "c/__MACOSX/z.jpg": b"",
    "b/.ipynb_checkpoints/z.png": b"",
    "unknown.qqq": b"?",
}


class Stored(NamedTuple):
    """A key as storage lists it."""

    name: str
    size: int = 1
    etag: str | None = None


def find(files: dict[str, bytes], order: Iterable[str] | None = None, **options) -> FoundKeys:
    """What is found among objects with these contents."""
    keys = (Stored(name, len(files[name])) for name in order or sorted(files))
    return find_keys(keys, head=lambda name: files[name][:512], **options)


def test_keys_are_found_as_the_files_of_the_same_tree(tmp_path: Path) -> None:
    """Images, tars, archives, their order and the counts by kind are those of `walk`."""
    make_files(tmp_path, FILES)
    for name, data in FILES.items():
        (tmp_path / name).write_bytes(data)
    (tmp_path / "b/.git").mkdir()
    markers = dict.fromkeys(("", "a/", "b/", "b/.git/", "nothing/"), b"")
    expected = walk(str(tmp_path))
    found = find({**FILES, **markers}).found
    assert found == expected
    assert found.images == sorted(found.images)
    assert {"photo", "x.jpg/y.jpg"} < set(found.images)


@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_the_storage_does_not_matter(seed: int) -> None:
    """Keys that do not come in the order of code points are sorted."""
    folders: dict[str, list[str]] = {}
    for name in FILES:
        top = ".cache" if name.startswith(".cache") else name
        folders.setdefault(top, []).append(name)
    groups = list(folders.values())
    random.Random(seed).shuffle(groups)
    order = [name for group in groups for name in group if "__MACOSX" not in name]
    rest = sorted(name for name in FILES if "__MACOSX" in name)
    assert find(FILES, [*order, *rest]).found == find(FILES).found


def test_keys_that_cannot_be_read_are_counted_and_told() -> None:
    """Keys with control characters, an empty segment, '.' or '..' are not scored, and named."""
    odd = ["a//b.jpg", "/c.jpg", "../d.jpg", "a/./e.png", "a/..", ".hidden//x.jpg", "//"]
    odd += ["line\nend.png", "tab\t/x.jpg", "\x7f.jpg"]
    found = find(dict.fromkeys([*odd, "a/good.jpg", ".hidden/y.jpg"], b"")).found
    assert found.images == ["a/good.jpg"]
    assert found.skipped == {"hidden folders": 1, finding._ODD: 9}
    (problem,) = found.problems
    assert problem == (
        "../d.jpg, .hidden//x.jpg, /c.jpg and 6 others: keys with control characters, or an "
        "empty, '.' or '..' segment are not scored (9 here); rename them to score them"
    )


def test_an_object_in_place_of_a_folder_is_counted() -> None:
    """A key that ends in '/' is a folder, unless it has contents."""
    found = find({"a/": b"something", "b/": b"", "a/x.jpg": b""}).found
    assert (found.images, found.skipped) == (["a/x.jpg"], {"keys that end in '/'": 1})


def test_few_keys_without_a_telling_name_are_looked_into(monkeypatch) -> None:
    """Up to a number of them; beyond it all are counted and three are named."""
    monkeypatch.setattr(finding, "MOST_LOOKED_INTO", 5)
    files = {f"f/{row}": JPEG for row in range(5)}
    assert find(files).found.images == sorted(files)
    files["g"] = JPEG
    looked: list[str] = []
    found = find_keys((Stored(name) for name in files), head=looked.append).found
    assert (found.images, found.skipped, looked) == ([], {"no suffix": 6}, [])
    assert found.problems[0].startswith("f/0, f/1, f/2 and 3 others: keys whose names do not say")


def test_a_key_that_vanishes_before_it_is_looked_into_is_counted() -> None:
    """A key may be deleted while keys are listed."""

    def gone(_name: str) -> bytes:
        raise FileNotFoundError

    found = find_keys([Stored("photo")], head=gone).found
    assert (found.images, found.skipped) == ([], {"unreadable files": 1})


def test_names_of_the_packed_set_are_passed_over_and_kept_apart() -> None:
    """Only at the top: a name in a folder is another file."""
    found = find({"0.tar": b"1", "a/0.tar": b"22", "1.tar": b"333"}, passed_over={"0.tar"})
    assert found.found.tars == ["1.tar", "a/0.tar"]
    assert {name: key.size for name, key in found.entries.items()} == {
        "0.tar": 1,
        "1.tar": 3,
        "a/0.tar": 2,
    }


def test_many_keys_take_bounded_memory(monkeypatch) -> None:
    """Keys are streamed: the memory is that of the names between two calls."""
    monkeypatch.setattr(collecting, "NAMES_IN_MEMORY", 5000)

    def keys() -> Iterator[Stored]:
        for row in range(60_000):
            yield Stored(f"folder-{row // 1000:04}/photograph-{row:09}.jpg")

    told: list[int] = []
    tracemalloc.start()
    found = find_keys(keys(), head=lambda _name: b"", listing=told.append)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(found.found.images) == found.keys == 60_000
    assert told == list(range(0, 60_000, 4096))
    assert peak < 40 * 60_000
