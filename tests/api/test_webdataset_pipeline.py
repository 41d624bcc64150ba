"""`vocscore.webdataset`: the library's own pipeline gives what is in the tars."""

from __future__ import annotations

import gc
import io
import json
import pickle
import shutil
import tarfile
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from loader_sets import damaged
from PIL import Image
from quick_packing import pack_quickly

from shards.errors import DamageError
from shards.reader import load_split
from shards.sources.voc.read import read_voc
from vocscore.api.loader import loader
from vocscore.api.webdataset import webdataset
from vocscore.errors import LoaderError

if TYPE_CHECKING:
    from pathlib import Path


def in_tars(packed: Path, split: str) -> dict[str, tuple[bytes, np.ndarray, Any]]:
    """Key -> the image's bytes, labels and description, read with tarfile, NumPy and json."""
    found: dict[str, dict[str, bytes]] = {}
    for tar in sorted(packed.glob(f"{split}-*.tar")):
        with tarfile.open(tar) as members:
            for member in members:
                key, _, extension = member.name.partition(".")
                found.setdefault(key, {})[extension] = members.extractfile(member).read()  # type: ignore[union-attr]
    return {
        key: (
            sample["jpg"],
            np.load(io.BytesIO(sample["labels.npy"])),
            json.loads(sample["json"]),
        )
        for key, sample in found.items()
    }


def test_samples_are_those_of_the_tars(packed: Path) -> None:
    """Keys, pixels, labels and descriptions, in the order of the shards; and of no other split."""
    expected = in_tars(packed, "train")
    samples = list(webdataset(packed, split="train"))
    assert [sample["__key__"] for sample in samples] == list(expected)
    for sample in samples:
        encoded, labels, description = expected[sample["__key__"]]
        assert sample["image"].mode == "RGB"
        truth = np.asarray(Image.open(io.BytesIO(encoded)).convert("RGB"))
        assert (np.asarray(sample["image"]) == truth).all()
        assert sample["labels"].dtype == np.int8
        assert (sample["labels"] == labels).all()
        assert sample["json"] == description


def test_without_a_split_all_come(packed: Path) -> None:
    """In the manifest's order; several are joined by commas."""
    both = [*in_tars(packed, "train"), *in_tars(packed, "val")]
    assert [sample["__key__"] for sample in webdataset(packed)] == both
    swapped = [*in_tars(packed, "val"), *in_tars(packed, "train")]
    assert [sample["__key__"] for sample in webdataset(packed, split="val,train")] == swapped


def test_images_come_in_the_form_that_is_asked_for(packed: Path) -> None:
    """PIL, NumPy and torch: the same pixels."""
    pil, array, tensor = (
        next(iter(webdataset(packed, image=kind)))["image"] for kind in ("pil", "numpy", "torch")
    )
    assert isinstance(pil, Image.Image)
    assert (np.asarray(pil) == array).all()
    assert array.dtype == np.uint8
    assert tensor.dtype == torch.uint8
    assert (tensor.permute(1, 2, 0).numpy() == array).all()


def test_it_composes_with_the_librarys_stages(packed: Path) -> None:
    """Shuffled and batched by the library; resized, the images are those of the loader."""
    batches = webdataset(packed, split="train", image="torch", size=32).shuffle(1000).batched(16)
    loading = loader(packed, split="train", size=32, batch_size=30, device="cpu")
    (whole,) = loading
    seen = []
    for batch in batches:
        for image, labels, described in zip(
            batch["image"], batch["labels"], batch["json"], strict=True
        ):
            row = loading.paths.index(described["path"])
            assert (image == whole.images[row]).all()
            assert loading.labels is not None
            assert (labels == loading.labels[row]).all()
            seen.append(row)
    assert sorted(seen) == list(range(30))
    assert seen != sorted(seen)


def test_it_can_travel_to_worker_processes(packed: Path) -> None:
    """However they are started."""
    copy = pickle.loads(pickle.dumps(webdataset(packed, split="val")))
    assert len(list(copy)) == 18


def test_ranks_take_whole_shards(packed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each sample is on one of them; one without a shard gets nothing."""
    seen: list[str] = []
    monkeypatch.setenv("WORLD_SIZE", "6")
    for rank in range(6):  # five shards
        monkeypatch.setenv("RANK", str(rank))
        seen += [sample["__key__"] for sample in webdataset(packed, split="train")]
    assert sorted(seen) == list(in_tars(packed, "train"))


def test_an_image_that_cannot_be_decoded_raises_or_is_left_out(
    packed: Path, tmp_path: Path
) -> None:
    """As asked for: an error that names it, or a warning."""
    broken = damaged(packed, tmp_path / "shards", rows=(11,))
    name = loader(broken, split="train", device="cpu").paths[11]
    with pytest.raises(LoaderError, match=f"{name}: corrupt"):
        list(webdataset(broken, split="train"))
    with pytest.warns(RuntimeWarning, match=f"{name}: corrupt") as warned:
        left = list(webdataset(broken, split="train", on_error="skip"))
    assert len(warned) == 1
    assert len(left) == 29


def test_no_file_is_left_open(packed: Path) -> None:
    """At the end and where a loop breaks off: Python would warn of one."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        list(webdataset(packed))
        next(iter(webdataset(packed)))
        gc.collect()


def test_folders_may_have_any_name(packed: Path, tmp_path: Path) -> None:
    """A path is no URL, whatever is in it."""
    odd = shutil.copytree(packed, tmp_path / "a#b;c?d%20{1,2}::ä")
    assert len(list(webdataset(odd, split="val"))) == 18


def test_what_cannot_be_read_is_refused_at_once(packed: Path, tmp_path: Path) -> None:
    """Splits that are not there, sets that are not whole, arguments out of range."""
    with pytest.raises(LoaderError, match="no split 'test'"):
        webdataset(packed, split="test")
    with pytest.raises(DamageError, match="not a packed set"):
        webdataset(tmp_path)
    broken = damaged(packed, tmp_path / "shards", rows=())
    (broken / "val-000001.tar").unlink()
    with pytest.raises(DamageError, match=r"val-000001\.tar"):
        webdataset(broken, split="val")
    for wrong in (
        {"image": "jax"},
        {"image": ["pil"]},
        {"on_error": "ignore"},
        {"size": 0},
        {"size": "x"},
        {"split": 3},
        {"split": []},
        {"max_pixels": 0},
        {"max_pixels": None},
    ):
        with pytest.raises(LoaderError, match=next(iter(wrong))):
            webdataset(packed, **wrong)  # type: ignore[arg-type]
    for shards in (None, 3, b"x", "", "a\0b", [packed]):
        with pytest.raises(LoaderError, match=r"^shards "):
            webdataset(shards)  # type: ignore[arg-type]


def test_splits_may_be_a_list(packed: Path) -> None:
    """Of names, in their order."""
    keys = [
        [one["__key__"] for one in webdataset(packed, split=s)]
        for s in (["val", "train"], "val,train")
    ]
    assert keys[0] == keys[1]


def test_an_image_of_a_verified_set_is_compared_with_its_hash(
    voc_tree: Path, tmp_path: Path
) -> None:
    """A changed byte is an error before anything is decoded; intact sets give every sample."""
    annotated = read_voc(voc_tree)
    splits = {"train": annotated.samples[:5]}
    shards = pack_quickly(annotated, splits, tmp_path / "out", verify=True)
    assert len(list(webdataset(shards))) == 5
    ref = load_split(shards, "train").images[2]
    with open(ref.file, "r+b") as tar:  # noqa: PTH123 - the name is text
        tar.seek(ref.offset + ref.size - 1)
        tar.write(b"\xd8")
    with pytest.raises(LoaderError, match=r"corrupt: its bytes are not those that were packed"):
        list(webdataset(shards))
    with pytest.warns(RuntimeWarning, match="not those that were packed"):
        assert len(list(webdataset(shards, on_error="skip"))) == 4
