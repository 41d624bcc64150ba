"""`vocscore pack` of YOLO data sets, Label Studio's and CVAT's exports, and WebDataset tars."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
from pack_runs import image, pack
from webdataset import TarWriter

from shards.images.image_file import read_bytes
from shards.reader import load_split

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CLASSES = ("cat", "dog")
SPLITS = {"train": (0, 1, 2), "val": (3, 4)}
"""The images of each split; image n shows class n % 2."""


def put(file: Path, data: bytes | str) -> None:
    """Write a file and the folders above it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data if isinstance(data, bytes) else data.encode())


def yolo(root: Path) -> Path:
    """A YOLO data set."""
    for split, numbers in SPLITS.items():
        for n in numbers:
            put(root / f"images/{split}/{n}.jpg", image(n))
            put(root / f"labels/{split}/{n}.txt", f"{n % 2} 0.5 0.5 0.1 0.1\n")
    put(root / "data.yaml", "train: images/train\nval: images/val\nnames: [cat, dog]\n")
    return root / "data.yaml"


def labelstudio(root: Path) -> Path:
    """An export of Label Studio as JSON, beside the uploaded files."""
    tasks = []
    for n in range(5):
        put(root / f"{n}.jpg", image(n))
        value = {"choices": [CLASSES[n % 2]]}
        results = [{"from_name": "c", "to_name": "i", "type": "choices", "value": value}]
        data = {"image": f"/data/upload/1/0a1b2c3d-{n}.jpg"}
        tasks.append({"id": n, "data": data, "annotations": [{"id": n, "result": results}]})
    put(root / "project-1.json", json.dumps(tasks))
    return root / "project-1.json"


def cvat(root: Path) -> Path:
    """An unpacked export of a CVAT project."""
    images = ""
    for split, numbers in SPLITS.items():
        for n in numbers:
            put(root / f"images/{split}/{n}.jpg", image(n))
            tag = f'<tag label="{CLASSES[n % 2]}" source="manual"></tag>'
            images += f'<image id="{n}" name="{n}.jpg" subset="{split}">{tag}</image>'
    labels = "".join(f"<label><name>{name}</name></label>" for name in CLASSES)
    meta = f"<meta><project><labels>{labels}</labels></project></meta>"
    put(root / "annotations.xml", f"<annotations>{meta}{images}</annotations>")
    return root / "annotations.xml"


def webdataset(root: Path) -> Path:
    """Tars in the layout of wds_voc2007_multilabel."""
    for split, numbers in SPLITS.items():
        (root / split).mkdir(parents=True)
        with TarWriter(str(root / split / "0.tar"), mtime=0) as tar:
            for n in numbers:
                label = np.eye(2, dtype="<f4")[n % 2]
                tar.write({"__key__": f"s{n:07d}", "jpg": image(n), "npy": label})
        put(root / split / "nshards.txt", "1")
    put(root / "classnames.txt", "cat\ndog\n")
    return root / "train/0.tar"


ALL = pytest.mark.parametrize("write", [yolo, labelstudio, cvat, webdataset])


def run(*words: object) -> tuple[int, str]:
    """Exit code and everything printed."""
    result = pack(*words)
    return result.exit_code, result.output


@ALL
def test_a_set_is_recognized_and_packed(tmp_path: Path, write: Callable[[Path], Path]) -> None:
    """The source, classes and splits are printed; images and labels are those of the set."""
    write(tmp_path / "set")
    out = tmp_path / "out"
    code, output = run(tmp_path / "set", "-o", out)
    assert code == 0, output
    assert f"source: {write.__name__} (" in output
    assert "cat 3, dog 2" in output
    if write is not labelstudio:
        assert "splits: train 3, val 2" in output
    found = {}
    for split in SPLITS:
        packed = load_split(out, split)
        for ref, labels in zip(packed.images, packed.labels, strict=True):
            found[read_bytes(ref, max_pixels=1000)] = labels.tolist()
    assert found == {image(n): [1 - n % 2, n % 2] for n in range(5)}


@ALL
def test_packing_twice_changes_nothing(tmp_path: Path, write: Callable[[Path], Path]) -> None:
    """A second run sees the same set; the same set elsewhere has the same bytes."""
    for name in ("one", "two"):
        write(tmp_path / name)
        assert run(tmp_path / name, "-o", tmp_path / f"{name}-out", "-q")[0] == 0
    code, output = run(tmp_path / "one", "-o", tmp_path / "one-out")
    assert (code, "nothing was written" in output) == (0, True)
    one, two = (
        {file.name: file.read_bytes() for file in (tmp_path / f"{name}-out").iterdir()}
        for name in ("one", "two")
    )
    assert one == two


@ALL
def test_a_broken_file_is_one_line(tmp_path: Path, write: Callable[[Path], Path]) -> None:
    """It exits 2, names the file, and writes nothing."""
    file = write(tmp_path / "set")
    file.write_bytes(file.read_bytes()[: 700 if write is webdataset else 30])
    code, output = run(tmp_path / "set", "--from", write.__name__, "-o", tmp_path / "out")
    assert (code, output.count("\n")) == (2, 1)
    assert output.startswith("Error: ")
    assert file.name in output
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("write", [yolo, labelstudio, cvat])
def test_the_file_may_be_elsewhere(tmp_path: Path, write: Callable[[Path], Path]) -> None:
    """--labels names it, and its form tells the source."""
    file = write(tmp_path / "set")
    moved = file.rename(tmp_path / file.name)
    code, output = run(tmp_path / "set", "--labels", moved, "-o", tmp_path / "out")
    assert code == 0, output
    assert f"source: {write.__name__} (--labels " in output


def test_two_sources_in_one_folder_are_a_question(tmp_path: Path) -> None:
    """One line names both and the option; --from decides."""
    labelstudio(tmp_path / "set")
    cvat(tmp_path / "set")
    code, output = run(tmp_path / "set", "-o", tmp_path / "out")
    assert (code, output.count("\n")) == (2, 1)
    assert "--from labelstudio or --from cvat" in output
    assert run(tmp_path / "set", "--from", "cvat", "-o", tmp_path / "out", "-q")[0] == 0


def test_a_column_is_for_some_sources_only(tmp_path: Path) -> None:
    """--label-column with a source that has none is refused, not ignored."""
    yolo(tmp_path / "set")
    code, output = run(tmp_path / "set", "--label-column", "x", "-o", tmp_path / "out")
    assert (code, output.count("\n")) == (2, 1)
    assert "--label-column is for hf, labelstudio, webdataset, but this is yolo" in output


@pytest.mark.parametrize("write", [yolo, labelstudio, cvat])
def test_a_separator_is_for_tables_only(tmp_path: Path, write: Callable[[Path], Path]) -> None:
    """--label-separator with --labels of another source is refused, not ignored."""
    file = write(tmp_path / "set")
    words = ("--labels", file, "--label-separator", "|", "-o", tmp_path / "out")
    code, output = run(tmp_path / "set", *words)
    assert (code, output.count("\n")) == (2, 1)
    assert f"--label-separator is for table, hf, but this is {write.__name__}" in output
