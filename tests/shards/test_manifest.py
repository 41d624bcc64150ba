"""`dataset.json`, and what is said where it is not as it should be."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from shards.errors import DamageError
from shards.manifest import (
    Manifest,
    Shard,
    Split,
    index_name,
    is_split,
    read_manifest,
    split_of,
    write_manifest,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MANIFEST = Manifest(
    classes=("cat", "dög"),
    splits={
        "train": Split(
            (
                Shard("train-000000.tar", 3, 10240, "a" * 64),
                Shard("train-000001.tar", 1, 9, "b" * 64),
            )
        ),
        "val": Split((Shard("val-000000.tar", 2, 512, "c" * 64),)),
    },
    rejected=1,
    config={"seed": 0, "resize": None},
    listing="d" * 64,
)


def test_a_manifest_is_read_back(tmp_path: Path) -> None:
    """What is written is read back; the sizes of the splits are the sums of their shards."""
    write_manifest(tmp_path, MANIFEST)
    found = read_manifest(tmp_path)
    assert found == MANIFEST
    assert {name: split.samples for name, split in found.splits.items()} == {"train": 4, "val": 2}
    assert [shard.name for shard in found.shards()][-1] == "val-000000.tar"
    value = json.loads((tmp_path / "dataset.json").read_text())
    assert (value["format"], value["version"]) == ("vocscore", 1)
    assert value["splits"]["train"]["samples"] == 4


@pytest.mark.parametrize("config", [{}, {"verify": False}])
def test_a_set_is_verified_only_if_it_says_so(config: dict[str, bool]) -> None:
    """Sets without the setting are older."""
    assert not replace(MANIFEST, config=config).verified
    assert replace(MANIFEST, config=config | {"verify": True}).verified


def test_names_of_files_tell_their_split() -> None:
    """Shards and indexes are told from other files by their names alone."""
    names = ["train-000000.tar", "train-000000.idx", "a_1-1234567.tar", "train-00000.tar", "x.tar"]
    assert [split_of(name) for name in names] == ["train", "train", "a_1", None, None]
    assert split_of(".train-000000.tar.tmp") is None
    assert index_name("train-000000.tar") == "train-000000.idx"
    assert [is_split(name) for name in ("val", "a b", "a.b", "", "x" * 33)] == [True] + [False] * 4


def change(*path: str | int, to: Any) -> Callable[[Any], None]:
    def apply(value: Any) -> None:
        for step in path[:-1]:
            value = value[step]
        value[path[-1]] = to

    return apply


@pytest.mark.parametrize(
    ("spoil", "line"),
    [
        (
            change("version", to=3),
            "version 3 is not 1 or 2, which this vocscore reads; use the vocscore",
        ),
        (change("format", to="other"), "format 'other' is not 'vocscore'"),
        (lambda value: value.pop("classes"), "missing field 'classes'"),
        (change("classes", 0, to=7), "7 is not text"),
        (change("splits", "train", "samples", to=5), "split 'train' has 5 samples"),
        (change("splits", "train", "shards", to=[]), "split 'train' has unexpected shard names"),
        (change("splits", "val", "shards", 0, "name", to="../x-000000.tar"), "is not a shard"),
        (
            change("splits", "val", "shards", 0, "name", to="val-000001.tar"),
            "has unexpected shard names",
        ),
        (change("splits", "val", "shards", 0, "sha256", to="x"), "is not a shard"),
        (
            change("splits", "val", "shards", 0, "samples", to=0),
            "0 is not an integer of at least 1",
        ),
        (change("splits", to=["train"]), "'list' object has no"),
        (change("splits", to={}), "no split"),
        (change("rejected", to="1"), "'1' is not an integer"),
        (change("config", "verify", to="yes"), "the setting 'verify' is not true or false"),
    ],
)
def test_a_manifest_that_makes_no_sense_is_refused(
    spoil: Callable[[Any], None], line: str, tmp_path: Path
) -> None:
    """Every field is checked; the message says which one is wrong."""
    write_manifest(tmp_path, MANIFEST)
    value = json.loads((tmp_path / "dataset.json").read_text())
    spoil(value)
    (tmp_path / "dataset.json").write_text(json.dumps(value))
    with pytest.raises(DamageError) as caught:
        read_manifest(tmp_path)
    assert str(caught.value).startswith(f"{tmp_path / 'dataset.json'}: ")
    assert line in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "{", '{"format": "vocsc', "[]", "3", "\udcff"])
def test_a_file_that_is_no_manifest_is_refused(text: str, tmp_path: Path) -> None:
    """Half a file, or another kind of JSON, is a DamageError of one line."""
    (tmp_path / "dataset.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(DamageError, match=r"dataset\.json: .*Copy it again") as caught:
        read_manifest(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_folder_without_manifest_is_no_set(tmp_path: Path) -> None:
    """Without `dataset.json` a folder is no set; with `.progress` in it, an unfinished one."""
    with pytest.raises(DamageError, match=r"so not a packed set\. Create one with 'vocscore pack'"):
        read_manifest(tmp_path)
    (tmp_path / ".progress").mkdir()
    with pytest.raises(DamageError, match=r"unfinished.* Rerun the same 'vocscore pack' command"):
        read_manifest(tmp_path)
