"""Whose `dataset.json` it is."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest
from small_sets import pack_small, small_set

from shards.errors import DamageError
from shards.manifest import read_manifest
from shards.packed_set import is_own_shard, manifest_of

if TYPE_CHECKING:
    from pathlib import Path

STRANGERS = {
    "object": b'{"labels": [["a.jpg", 3]]}',
    "array": b"[1, 2]",
    "number": b"3",
    "null": b"null",
    "empty": b"",
    "text": b"not JSON",
    "binary": bytes(range(256)),
    "bom": b'\xef\xbb\xbf{"a": 1}',
    "utf16": '{"a": 1}'.encode("utf-16"),
    "deep": b"[" * 100_000,
    "digits": b"9" * 10_000,
    "other_format": b'{"format": "another", "version": 1, "splits": {}}',
    "inside": b'{"exports": [{"format": "vocscore"}]}',
    "format_of_a_list": b'{"format": ["vocscore"], "classes": []}',
}


@pytest.mark.parametrize("data", STRANGERS.values(), ids=STRANGERS)
def test_a_file_of_another_program_is_no_manifest(data: bytes, tmp_path: Path) -> None:
    """Anything that is not ours makes no packed set and no error."""
    (tmp_path / "dataset.json").write_bytes(data)
    (tmp_path / "a.tar").touch()
    assert manifest_of(tmp_path) is None
    assert not is_own_shard(tmp_path / "a.tar")


def test_what_is_no_file_and_what_is_huge_is_no_manifest(tmp_path: Path) -> None:
    """A folder, a pipe that nobody writes to, a file of a terabyte, and none."""
    for name in ("folder", "pipe", "huge", "none"):
        (tmp_path / name).mkdir()
    (tmp_path / "folder/dataset.json").mkdir()
    os.mkfifo(tmp_path / "pipe/dataset.json")
    with (tmp_path / "huge/dataset.json").open("wb") as file:
        file.truncate(1 << 40)
    assert [manifest_of(folder) for folder in tmp_path.iterdir()] == [None] * 4


def test_our_own_is_read_in_any_order_of_its_keys(tmp_path: Path) -> None:
    """A manifest that a tool has written again is ours."""
    out = tmp_path / "out"
    pack_small(small_set(tmp_path / "in"), out)
    expected = read_manifest(out)
    assert manifest_of(out) == expected
    value = json.loads((out / "dataset.json").read_bytes())
    (out / "dataset.json").write_text(json.dumps(value, sort_keys=True))
    assert manifest_of(out) == expected
    assert is_own_shard(out / "val-000000.tar")
    assert not is_own_shard(out / "val-000009.tar")


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: text[:-9],
        lambda text: text[: len(text) // 2],
        lambda text: text[:30],
        lambda text: "",
        lambda text: text.replace("vocscore", "vocscorf"),
        lambda text: text.replace('"version": 1', '"version": 2'),
        lambda text: "\0" * len(text),
        lambda text: text.replace('"listing"', '"listinh"'),
    ],
)
def test_a_damaged_one_of_ours_is_an_error(spoil: Any, tmp_path: Path) -> None:
    """However it is damaged, the shards beside it are not taken for another program's."""
    out = tmp_path / "out"
    pack_small(small_set(tmp_path / "in"), out)
    text = (out / "dataset.json").read_text()
    (out / "dataset.json").write_text(spoil(text))
    with pytest.raises(DamageError, match=r"dataset\.json"):
        manifest_of(out)
