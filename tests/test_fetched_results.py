"""Predictions, runs and shards on object storage are named by their URLs, as local ones are."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner
from written_predictions import draw

import vocscore as vs
from shards.errors import StorageError
from shards.reader import load_split
from vocscore.cli.main import main
from vocscore.local_folders import local_predictions, local_results, local_run, named_by

if TYPE_CHECKING:
    from pathlib import Path

    from s3_server import Bucket


pytestmark = pytest.mark.usefixtures("fetch_cache")


@pytest.fixture
def predicted(packed: Path, tmp_path: Path) -> Path:
    """Predictions of the images of `packed`, a file and a folder of parts, with a record each."""
    manifest = json.loads((packed / "dataset.json").read_bytes())
    names = [ref.name for split in manifest["splits"] for ref in load_split(packed, split).images]
    drawn = draw(len(names), manifest["classes"], names=names, failing=[3])
    folder = tmp_path / "made"
    folder.mkdir()
    drawn.write(folder / "p.csv", record=drawn.record())
    drawn.write(folder / "parts", folder_format="csv", record=drawn.record())
    return folder


def told(*words: object) -> str:
    """What a command prints."""
    done = CliRunner().invoke(main, [str(word) for word in words])
    assert done.exit_code == 0, done.output
    return done.stdout


@pytest.mark.parametrize("name", ["p.csv", "parts"])
def test_eval(storage: Bucket, predicted: Path, packed: Path, name: str) -> None:
    """The figures of local predictions and shards, of a file and of a folder of parts."""
    storage.put_tree(predicted, "out")
    shards = storage.put_tree(packed, "shards")
    words = ("--split", "all", "--resamples", 20)
    local = told("eval", predicted / name, packed, *words)
    remote = told("eval", storage.url(f"out/{name}"), shards, *words)
    copy = local_predictions(storage.url(f"out/{name}"))
    assert remote.replace(str(copy), str(predicted / name)) == local
    found = vs.evaluate(storage.url(f"out/{name}"), shards, split="all", resamples=20)
    known = vs.evaluate(predicted / name, packed, split="all", resamples=20)
    own = ("trained_on_source",)  # which names the record that was looked at
    assert {k: v for k, v in found.to_json().items() if k not in own} == {
        k: v for k, v in known.to_json().items() if k not in own
    }


@pytest.mark.parametrize("name", ["p.csv", "p.csv.json", "parts"])
def test_info_of_predictions(storage: Bucket, predicted: Path, name: str) -> None:
    """The record beside them is found; nothing else below the prefix is fetched."""
    storage.put_tree(predicted, "out")
    storage.put("out/other.bin", b"1")
    storage.layer.reset()
    found = vs.info(storage.url(f"out/{name}"))
    assert found.kind == "predictions"
    assert found.sections == vs.info(predicted / name).sections
    assert not [line for line in storage.layer.log if "other.bin" in line]
    text = told("info", storage.url(f"out/{name}"))
    assert text.startswith(f"{storage.url(f'out/{name}')}: predictions\n")


def test_info_of_shards(storage: Bucket, packed: Path) -> None:
    """The facts of the local set."""
    url = storage.put_tree(packed, "shards")
    assert vs.info(url).sections == vs.info(packed).sections


def test_two_predictions(storage: Bucket, predicted: Path, tmp_path: Path) -> None:
    """`compare` takes two places, `view` any number of them."""
    url = f"{storage.put_tree(predicted, 'out')}/p.csv"
    assert told("compare", url, url) == told("compare", predicted / "p.csv", predicted / "p.csv")
    done = CliRunner().invoke(main, ["view", url, url, url])
    assert "name one, or two" in done.output


def test_what_is_nothing_of_ours(storage: Bucket) -> None:
    """A folder of images is not fetched to find that out; an unfinished run says so."""
    storage.put("photos/a.jpg", b"1")
    storage.put("out/p.csv.parts/plan.json", b"{}")
    for act in (local_predictions, local_results):
        with pytest.raises(StorageError, match="/photos: nothing that vocscore writes"):
            act(storage.url("photos"))
        with pytest.raises(StorageError, match=r"an unfinished run.*vocscore merge s3://"):
            act(storage.url("out/p.csv"))
        with pytest.raises(StorageError, match="credentials") as error:
            act("s3://key:SECRET@bucket/p.csv")
        assert "SECRET" not in str(error.value)
    with pytest.raises(StorageError, match="a bucket"):
        local_predictions(storage.url())
    assert not [line for line in storage.layer.log if "a.jpg" in line]


def test_commands_name_what_was_typed(storage: Bucket, tmp_path: Path) -> None:
    """A command that is printed shall run on other machines, which have other caches."""
    url = f"{storage.put('run/model.json', b'{}').rpartition('/')[0]}"
    assert named_by(local_run(url)) == url
    assert named_by(tmp_path / "run") == str(tmp_path / "run")
