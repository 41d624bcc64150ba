"""A run notes the images that it sees before it sees them; no network is trained here."""

from __future__ import annotations

import csv
import hashlib
import json
import tarfile
from typing import TYPE_CHECKING, Any

import pytest

from shards.manifest import read_manifest
from vocscore.config.training import DataConfig
from vocscore.errors import TrainError
from vocscore.records.trained_on import packed_facts, read_trained_on
from vocscore.training.run_folder import RUN_FILES, check_same, start_run
from vocscore.training.splits import load_splits, used_images

if TYPE_CHECKING:
    from pathlib import Path


def contents(shards: Path, *splits: str) -> dict[str, str]:
    """Original path -> sha256 of the image's bytes, by tarfile alone."""
    found = {}
    for split in splits:
        for tar in sorted(shards.glob(f"{split}-*.tar")):
            with tarfile.open(tar) as opened:
                members = {m.name: opened.extractfile(m).read() for m in opened}  # type: ignore[union-attr]
            for name, data in members.items():
                if name.endswith(".json"):
                    image = members[name.removesuffix("json") + "jpg"]
                    found[json.loads(data)["path"]] = hashlib.sha256(image).hexdigest()
    return found


def begun(shards: Path, out: Path, **data: str) -> dict[str, Any]:
    """Start a run as `train` does; return its settings."""
    splits = load_splits(shards, DataConfig(**data))
    used = used_images(splits)
    config = {
        "shards": "typed",
        "shards_sha256": hashlib.sha256((shards / "dataset.json").read_bytes()).hexdigest(),
        "packed": packed_facts(shards, read_manifest(shards), used.train),
        "train_split": data.get("train_split", "train"),
        "val_split": data.get("val_split", "val"),
    }
    start_run(out, config, images=used)
    return config


@pytest.mark.parametrize(
    ("train", "val"), [(("train",), ("val",)), (("train", "one"), ("val",)), (("one",), ("train",))]
)
def test_every_image_is_noted_with_its_hash(
    few_shards: Path, tmp_path: Path, train: tuple[str, ...], val: tuple[str, ...]
) -> None:
    """Paths and hashes are those of the tars, for training and validation each."""
    begun(few_shards, tmp_path, train_split=", ".join(train), val_split=",".join(val))
    with (tmp_path / "images.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    for use, splits in (("training", train), ("validation", val)):
        found = {row["path"]: row["sha256"] for row in rows if row["used_for"] == use}
        assert found == contents(few_shards, *splits)
    assert "images.csv" in RUN_FILES


def test_the_config_tells_the_set(few_shards: Path, tmp_path: Path, monkeypatch: Any) -> None:
    """Absolute path, listing, number and hash of the training images, from wherever it is read."""
    monkeypatch.chdir(few_shards.parent)
    config = begun(few_shards.relative_to(few_shards.parent), tmp_path)
    found = read_trained_on(tmp_path)
    assert found is not None
    assert found.shards == str(few_shards)
    assert found.listing == json.loads((few_shards / "dataset.json").read_text())["listing"]
    paths = sorted(contents(few_shards, "train"))
    assert found.train_images == len(paths)
    expected = hashlib.sha256("".join(f"{path}\0" for path in paths).encode()).hexdigest()
    assert found.train_images_sha256 == expected
    assert found.shards_sha256 == config["shards_sha256"]


def test_a_run_of_an_older_version_can_be_resumed(few_shards: Path, tmp_path: Path) -> None:
    """What older versions did not note is no difference; another split still is one."""
    config = begun(few_shards, tmp_path)
    older = {name: value for name, value in config.items() if name != "packed"}
    (tmp_path / "config.json").write_text(json.dumps(older))
    check_same(tmp_path, config)
    with pytest.raises(TrainError, match="train_split was 'train' and is 'one'"):
        check_same(tmp_path, {**config, "train_split": "one"})
