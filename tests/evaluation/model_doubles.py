"""Runs and records as files, written by hand: what `train` and `score` leave, without a network."""

from __future__ import annotations

import csv
import hashlib
import json
import tarfile
from typing import TYPE_CHECKING, Any

from shards.classes import VOC_CLASSES

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def images_of(shards: Path, *splits: str) -> dict[str, str]:
    """Original path -> sha256 of the image in the tars, by tarfile alone."""
    found = {}
    for split in splits:
        for tar in sorted(shards.glob(f"{split}-*.tar")):
            with tarfile.open(tar) as opened:
                members = {m.name: opened.extractfile(m).read() for m in opened}  # type: ignore[union-attr]
            for name, data in members.items():
                if name.endswith(".json"):
                    image = members[f"{name.removesuffix('.json')}.jpg"]
                    found[json.loads(data)["path"]] = sha256(image)
    return found


def make_run(
    folder: Path,
    shards: Path,
    *,
    train: str = "train",
    val: str = "val",
    old: bool = False,
    **settings: Any,
) -> Path:
    """A run trained on splits of a set; an `old` one has no list of its images."""
    folder.mkdir(parents=True)
    manifest = json.loads((shards / "dataset.json").read_text())
    config: dict[str, Any] = {
        "shards": str(shards),
        "shards_sha256": sha256((shards / "dataset.json").read_bytes()),
        "train_split": train,
        "val_split": val,
        **settings,
    }
    names = [[name.strip() for name in text.split(",")] for text in (train, val)]
    used = [images_of(shards, *some) for some in names]
    if not old:
        resize = manifest["config"].get("resize")
        quality = manifest["config"].get("quality")
        config["packed"] = {
            "path": str(shards),
            "listing": manifest["listing"],
            "encoding": "original" if resize is None else f"{resize}, quality {quality}",
            "train_images": len(used[0]),
            "train_images_sha256": sha256("".join(f"{p}\0" for p in sorted(used[0])).encode()),
        }
        with (folder / "images.csv").open("w", newline="") as file:
            out = csv.writer(file, lineterminator="\n")
            out.writerow(["used_for", "path", "sha256"])
            for use, images in zip(("training", "validation"), used, strict=True):
                out.writerows([use, path, content] for path, content in images.items())
    (folder / "config.json").write_text(json.dumps(config))
    card = {
        "format": 1,
        "backbone": "alexnet",
        "classes": list(VOC_CLASSES),
        "preprocess": {"size": 64, "upright": True, "mean": [0.5] * 3, "std": [0.5] * 3},
        "threshold": 0.5,
        "weights": folder.name,
    }
    (folder / "model.json").write_text(json.dumps(card))
    (folder / "model.safetensors").write_bytes(b"weights")
    return folder


def make_record(
    predictions: Path, run: Path, *, rows: int, classes: Sequence[str] = VOC_CLASSES, **changes: Any
) -> Path:
    """The record of predictions that a run has made."""
    digest = hashlib.sha256()
    for name in ("model.json", "model.safetensors"):
        data = (run / name).read_bytes()
        digest.update(len(data).to_bytes(8, "little") + data)
    config = json.loads((run / "config.json").read_text())
    packed = config.get("packed", {})
    kept = ("listing", "encoding", "train_images", "train_images_sha256")
    value = {
        "format": "vocscore predictions",
        "version": 1,
        "vocscore": "0.1.0",
        "libraries": {},
        "command": None,
        "started": "2026-01-01T00:00:00+00:00",
        "finished": "2026-01-01T00:00:00+00:00",
        "model": {
            "given": str(run),
            "path": str(run),
            "sha256": digest.hexdigest(),
            "precision": "float32",
            "preprocess": {},
            "threshold": 0.5,
            "classes": list(classes),
        },
        "source": {},
        "settings": {},
        "output": {},
        "rows": rows,
        "resumed": 0,
        "errors": {},
        "trained_on": {
            "shards": packed.get("path", config["shards"]),
            "shards_sha256": config["shards_sha256"],
            "train_splits": [name.strip() for name in config["train_split"].split(",")],
            "val_splits": [name.strip() for name in config["val_split"].split(",")],
            "chosen": ["thresholds"] if config.get("thresholds") == "f1" else [],
            **{name: packed.get(name) for name in kept},
        },
        **changes,
    }
    file = predictions.with_name(f"{predictions.name}.json")
    file.write_text(json.dumps(value))
    return file
