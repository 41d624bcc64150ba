"""images.csv of a run: what it was trained on comes back, whatever the names."""

from __future__ import annotations

import csv
import hashlib
from typing import TYPE_CHECKING

import pytest

from vocscore.records.images import IMAGES, UsedImages, paths_hash, read_images

if TYPE_CHECKING:
    from pathlib import Path

ODD = ["a,b.jpg", 'say "cheese".jpg', "line\nend.jpg", "caf\udce9.jpg", "café.jpg", "sub/ x.jpg "]


def test_every_name_comes_back(tmp_path: Path) -> None:
    """Commas, quotes, line ends, and bytes that are no text; each beside its own hash and use."""
    used = UsedImages(
        {name: hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest() for name in ODD},
        {"val.jpg": "0" * 64},
    )
    (tmp_path / IMAGES).write_bytes(used.to_csv())
    assert read_images(tmp_path) == used


def test_it_is_a_plain_table(tmp_path: Path) -> None:
    """Any reader of CSV finds the columns, training before validation."""
    used = UsedImages({"b.jpg": "b" * 64, "a.jpg": "a" * 64}, {"c.jpg": "c" * 64})
    (tmp_path / IMAGES).write_bytes(used.to_csv())
    with (tmp_path / IMAGES).open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["used_for"], row["path"]) for row in rows] == [
        ("training", "b.jpg"),
        ("training", "a.jpg"),
        ("validation", "c.jpg"),
    ]
    assert [row["sha256"][0] for row in rows] == ["b", "a", "c"]


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "path,labels\na.jpg,cat\n",
        "used_for,path,sha256\ntraining,a.jpg\n",
        "used_for,path,sha256\nfun,a.jpg,0\n",
    ],
)
def test_another_file_says_nothing(tmp_path: Path, text: str | None) -> None:
    """No file, another table, or a row cut short: nothing is known, and nothing is raised."""
    if text is not None:
        (tmp_path / IMAGES).write_text(text)
    assert read_images(tmp_path) is None


def test_the_hash_of_a_set_does_not_depend_on_its_order() -> None:
    """Equal for equal sets of paths; another name, or two names run together, is another set."""
    assert paths_hash(ODD) == paths_hash(reversed(ODD))
    assert paths_hash(["a", "b"]) == hashlib.sha256(b"a\0b\0").hexdigest()
    assert len({paths_hash(names) for names in (["a", "b"], ["ab"], ["a"], [])}) == 4
