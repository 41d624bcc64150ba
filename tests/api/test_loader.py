"""`vocscore.loader`: the right pixels, labels and rows of every source."""

from __future__ import annotations

import json
import shutil
import tarfile
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from loader_sets import AUGMENTATION, SIZE, opened, pixels_by_row, shuffled, taken

from shards.errors import Error
from shards.reader import load_split
from vocscore.api.loader import loader
from vocscore.errors import LoaderError
from vocscore.pipeline.augment import Views
from vocscore.pipeline.host import HostLoader
from vocscore.pipeline.preprocess import Preprocess

if TYPE_CHECKING:
    from pathlib import Path

    from vocscore.config.training import AugmentationConfig


def test_labels_paths_and_rows_belong_together(packed: Path) -> None:
    """Path and classes of each row are those of the description beside its image in the tar."""
    described = {}
    for tar in sorted(packed.glob("train-*.tar")):
        with tarfile.open(tar) as members:
            for name in members.getnames():
                if name.endswith(".json"):
                    value = json.load(members.extractfile(name))  # type: ignore[arg-type]
                    described[value["path"]] = value
    loading = shuffled(packed)
    seen = []
    for batch in loading:
        assert batch.labels is not None
        for row, labels in zip(batch.rows, batch.labels, strict=True):
            value = described[loading.paths[row]]
            assert [loading.classes[c] for c in np.flatnonzero(labels == 1)] == value["labels"]
            assert [loading.classes[c] for c in np.flatnonzero(labels == -1)] == value["difficult"]
            seen.append(loading.paths[row])
    assert sorted(seen) == sorted(described)
    assert (load_split(packed, "train").labels == loading.labels).all()


@pytest.mark.parametrize("augmentation", [None, AUGMENTATION], ids=["plain", "augmented"])
def test_pixels_are_those_of_the_host_loader(
    packed: Path, augmentation: AugmentationConfig | None
) -> None:
    """To the bit, with the views that training draws for the same seed, epoch and row."""
    refs = load_split(packed, "train").images
    views = None if augmentation is None else Views(augmentation, seed=5, epoch=1)
    with HostLoader(Preprocess(size=SIZE), batch_size=7, threads=1, max_pixels=10**6) as loader:
        expected = pixels_by_row(loader.batches(refs, views=views))
    found = pixels_by_row(shuffled(packed, augmentation=augmentation))
    assert found.keys() == expected.keys()
    for row, pixels in expected.items():
        assert (found[row] == pixels).all()


def test_pixels_are_those_of_pillow_within_the_tolerance(packed: Path) -> None:
    """The reference loader decodes and resizes with Pillow alone: one level of 255 apart."""
    found = pixels_by_row(opened(packed, split="val"))
    expected = pixels_by_row(opened(packed, split="val", loader="reference"))
    for row, pixels in expected.items():
        difference = np.abs(found[row].astype(int) - pixels.astype(int))
        assert difference.max() <= 1
        assert difference.mean() <= 0.25


@pytest.mark.gpu
@pytest.mark.parametrize("kind", ["host", "dali"])
def test_images_are_on_the_device_that_is_asked_for(packed: Path, kind: str) -> None:
    """Whoever decodes them; and normalized there."""
    loading = shuffled(packed, loader=kind, device="cuda")
    for batch in loading:
        assert batch.images.device == loading.device == torch.device("cuda:0")
        assert batch.images.is_contiguous(memory_format=torch.channels_last)
        assert loading.normalize(batch.images.cpu()).device == loading.device
    loading.close()


def test_splits_are_all_or_those_that_are_named(packed: Path) -> None:
    """Rows count from 0 within what was chosen, in the order in which it is named."""
    train, val = (load_split(packed, name).images for name in ("train", "val"))
    names = {
        None: [*train, *val],
        "val": list(val),
        "val, train": [*val, *train],
        ("val", "train"): [*val, *train],
    }
    assert opened(packed, split=["train", "val"]).paths == opened(packed).paths
    for split, refs in names.items():
        assert list(opened(packed, split=split).paths) == [one.name for one in refs]


def test_folders_lists_and_tars_have_no_labels(
    packed: Path, voc_tree: Path, tmp_path: Path
) -> None:
    """The same images by four ways: pixels are equal, and labels are None."""
    folder = voc_tree / "JPEGImages"
    files = sorted(folder.iterdir())
    (tmp_path / "list.txt").write_text("".join(f"{file}\n" for file in files))
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        for file in files:
            tar.add(file, file.name)
    expected = [pixels for _, pixels, _ in taken(opened(folder))]
    for source in (files, [str(file) for file in files], tmp_path / "list.txt", tmp_path / "a.tar"):
        loading = opened(source)
        batches = list(loading)
        assert [pixels for _, pixels, _ in taken(batches)] == expected
        assert loading.labels is None
        assert loading.classes == ()
        assert all(batch.labels is None for batch in batches)
    assert opened(files).paths == tuple(map(str, files))
    assert opened(folder).paths == tuple(file.name for file in files)
    assert opened(packed / "train-000000.tar").labels is None


def test_what_a_source_holds_beside_its_images_is_noted(voc_tree: Path, tmp_path: Path) -> None:
    """A tar among images is left out, and the loader says so."""
    shutil.copy(next((voc_tree / "JPEGImages").iterdir()), tmp_path / "a.jpg")
    assert opened(tmp_path).notes == ()
    with tarfile.open(tmp_path / "b.tar", "w") as tar:
        tar.add(tmp_path / "a.jpg", "a.jpg")
    loading = opened(tmp_path)
    assert loading.paths == ("a.jpg",)
    (note,) = loading.notes
    assert "b.tar" in note


def test_sources_that_cannot_be_loaded_are_refused(packed: Path, tmp_path: Path) -> None:
    """Each in one line that says what is missing."""
    (tmp_path / "empty").mkdir()
    unfinished = shutil.copytree(packed, tmp_path / "unfinished")
    (unfinished / "dataset.json").unlink()
    (unfinished / ".progress").mkdir()
    (tmp_path / "no.tar").write_bytes(b"no tar")
    cases: list[tuple[Any, str | None, str]] = [
        (packed, "test", "has no split 'test'. There are: train, val"),
        (packed, "train,train", "named twice"),
        (tmp_path / "none", None, "no such file"),
        (tmp_path / "empty", None, "no image"),
        (tmp_path / "empty", "train", "not a packed set"),
        (unfinished, "train", "unfinished"),
        (tmp_path / "no.tar", None, "no.tar"),
        ([], None, "no image"),
        (["a.jpg"], "train", "no split 'train'"),
    ]
    for source, split, message in cases:
        with pytest.raises(Exception, match=message) as raised:
            opened(source, split=split)
        assert isinstance(raised.value, (Error, Error))
        assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "wrong",
    [
        {"on_error": "ignore"},
        {"loader": "fast"},
        {"workers": 0},
        {"batch_size": 0},
        {"size": 0},
        {"preprocess": Preprocess(), "size": 64},
        {"std": (1, 1, 0)},
    ],
    ids=str,
)
def test_impossible_arguments_are_refused(packed: Path, wrong: dict[str, Any]) -> None:
    """At once, with the argument's name."""
    with pytest.raises(LoaderError, match=next(iter(wrong))):
        loader(packed, device="cpu", **wrong)


@pytest.mark.parametrize(("rule", "value"), [("ignore", -1), ("positive", 1), ("negative", 0)])
def test_difficult_labels_are_as_in_training(packed: Path, rule: str, value: int) -> None:
    """-1, 1 or 0 where an image shows only difficult instances of a class."""
    stored = load_split(packed, "train").labels
    assert (stored == -1).any()
    labels = opened(packed, split="train", difficult=rule).labels
    assert labels is not None
    assert (labels[stored == -1] == value).all()
    assert (labels[stored != -1] == stored[stored != -1]).all()


def test_normalize_gives_the_input_of_a_network(packed: Path) -> None:
    """(pixel / 255 - mean) / std, float32."""
    mean, std = (0.1, 0.2, 0.3), (0.5, 0.6, 0.7)
    loading = opened(packed, mean=mean, std=std)
    batch = next(iter(loading))
    expected = (batch.images.double() / 255 - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(
        std
    ).view(3, 1, 1)
    found = loading.normalize(batch.images)
    assert found.dtype == torch.float32
    assert torch.allclose(found.double(), expected, atol=1e-6)


def test_a_runs_preprocessing_is_taken(packed: Path, tmp_path: Path) -> None:
    """Its size, mean and std, from the model's card alone."""
    wanted = Preprocess(size=48, mean=(0, 0, 0), std=(1, 1, 1))
    card = {
        "format": 1,
        "backbone": "resnet18",
        "classes": ["cat"],
        "preprocess": wanted.to_json(),
        "threshold": 0.5,
        "weights": "none",
    }
    (tmp_path / "model.json").write_text(json.dumps(card))
    loading = loader(packed, preprocess=tmp_path, device="cpu")
    assert loading.preprocess == wanted
    assert next(iter(loading)).images.shape[2:] == (48, 48)


def test_loaders_and_batches_print_what_they_are(packed: Path) -> None:
    """Numbers and shapes, not pixels."""
    loading = shuffled(packed)
    assert repr(loading) == (
        "<BatchLoader: 30 images of 20 classes, 4 batches of up to 8, 32x32 pixels, "
        "shuffled by seed 5, epoch 1>"
    )
    assert repr(next(iter(loading))) == (
        "Batch(images=uint8 (8, 3, 32, 32) on cpu, rows=int64 (8,), labels=int8 (8, 20), "
        "failures=0)"
    )
    one_file = next(iter(opened(packed / "train-000000.tar")))
    assert "labels=None" in repr(one_file)
