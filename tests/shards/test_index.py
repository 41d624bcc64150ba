"""The index beside a shard."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from small_sets import build_index
from test_tar_walk import make_tar

from shards.errors import DamageError
from shards.index import format_index, group, read_index, split_name
from shards.tar.walk import members

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("a.jpg", ("a", "jpg")),
        ("a.labels.npy", ("a", "labels.npy")),
        ("x.y/b.c.d", ("x.y/b", "c.d")),
        ("x.y/b", ("x.y/b", "")),
        (".hidden", ("", "hidden")),
    ],
)
def test_the_extension_starts_at_the_first_dot(name: str, parts: tuple[str, str]) -> None:
    """Key and extension part at the first dot of the base name, as DALI and webdataset do it."""
    assert split_name(name) == parts


def test_samples_are_runs_of_one_key(tmp_path: Path) -> None:
    """Members that follow each other with one key are a sample; hidden and bare names are none."""
    names = ["a.jpg", "a.json", "b.jpg", "d/.x.jpg", "README", "b.cls", "a.txt"]
    found = group(members(make_tar(tmp_path / "x.tar", names)))
    expected = [["jpg", "json"], ["jpg", "cls"], ["txt"]]
    assert [[part.extension for part in sample] for sample in found] == expected


def test_an_index_is_read_back(tmp_path: Path) -> None:
    """What is written is read back, and says where the bytes are."""
    tar = make_tar(tmp_path / "x.tar", ["a.jpg", "a.json", "b.jpg"])
    (tmp_path / "x.idx").write_bytes(build_index(tar))
    samples = read_index(tmp_path / "x.idx")
    assert samples == list(group(members(tar)))
    data = tar.read_bytes()
    assert [data[p.offset : p.offset + p.size] for p in samples[0]] == [b"a.jpg" * 3, b"a.json" * 3]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "v1.2 1",
        "v1.2 2\njpg 512 9 a.jpg\n",
        "v1.1 1\njpg 512 9 a.jpg\n",
        "v1.2 1\njpg 512 9\n",
        "v1.2 1\njpg x 9 a.jpg\n",
        "v1.2 1\njpg 512 9 a.jpg",
        "v1.2 1\n\n",
    ],
)
def test_a_damaged_index_is_refused(text: str, tmp_path: Path) -> None:
    """An index cut short, of another version or with other fields is a DamageError."""
    (tmp_path / "x.idx").write_text(text)
    with pytest.raises(DamageError, match=r"x\.idx: not a complete index of version 1\.2"):
        read_index(tmp_path / "x.idx")


def test_a_missing_index_is_named(tmp_path: Path) -> None:
    """An index that is not there is a DamageError that names it."""
    with pytest.raises(DamageError, match=r"x\.idx: missing"):
        read_index(tmp_path / "x.idx")


def test_nothing_is_an_index_of_nothing() -> None:
    """Without samples, the index says 0."""
    assert format_index([]) == b"v1.2 0\n"
