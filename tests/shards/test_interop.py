"""Other programs read our shards: webdataset, DALI, wds2idx and tar, all the same samples."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tarfile
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from small_sets import CLASSES, build_index, image_bytes, pack_small, small_set

from shards.sample import AnnotatedSet, Sample
from shards.tar.images import list_tar

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

ODD = ("ä b;c.JPG", 'q"\n.jpg', os.fsdecode(b"n\xff.jpg"), "deep.er/a.b.c.jpg")
KINDS = ("PNG", "WEBP", "BMP", "TIFF", "GIF")

Seen = dict[str, tuple[bytes, list[int], str]]
"""Key -> image, labels, path."""


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A set of JPEGs, one image of each other kind, and images with odd names."""
    root = tmp_path_factory.mktemp("interop")
    annotated = small_set(root / "in", images=20)
    samples = list(annotated.samples)
    for i, name in enumerate([*ODD, *(f"{kind}.jpg" for kind in KINDS)]):
        file = root / "in" / name
        file.parent.mkdir(exist_ok=True)
        kind = name.removesuffix(".jpg")
        file.write_bytes(image_bytes(100 + i, kind if kind in KINDS else "JPEG"))
        samples.append(Sample(name, (CLASSES[i % 2],), ("person",)))
    everything = AnnotatedSet(annotated.root, tuple(samples))
    pack_small(everything, root / "out", splits={"train": samples[::2], "val": samples[1::2]})
    return root / "out"


def tars(packed: Path) -> list[Path]:
    found = sorted(packed.glob("*.tar"))
    assert len(found) == 10
    return found


def seen(key: str, image: bytes, labels: Iterable[int], description: bytes) -> Seen:
    return {key: (image, [int(value) for value in labels], json.loads(description)["path"])}


@pytest.fixture(scope="module")
def expected(packed: Path) -> Seen:
    """What went in: the files on the disk, and the labels by hand; the keys as they were given."""
    result: Seen = {}
    for split in ("train", "val"):
        serial = 0
        for tar in sorted(packed.glob(f"{split}-*.tar")):
            for ref in list_tar(tar).images:
                data = (packed.with_name("in") / ref.name).read_bytes()
                if ref.name[:3].isdigit():
                    number = int(ref.name[:3])
                    labels = [1 - number % 2, number % 2, 0 if number % 3 else -1]
                else:
                    number = [*ODD, *(f"{kind}.jpg" for kind in KINDS)].index(ref.name)
                    labels = [1 - number % 2, number % 2, -1]
                result[f"{split}-{serial:08d}"] = (data, labels, ref.name)
                serial += 1
    assert len(result) == 29
    return result


def test_webdataset_reads_them(packed: Path, expected: Seen) -> None:
    """The webdataset library finds the keys, the bytes, and the labels as NumPy arrays."""
    webdataset = pytest.importorskip("webdataset")
    found: Seen = {}
    for tar in tars(packed):
        raw = webdataset.WebDataset(str(tar), shardshuffle=False)
        decoded = webdataset.WebDataset(str(tar), shardshuffle=False).decode()
        for sample, labeled in zip(raw, decoded, strict=True):
            (image,) = [
                name for name in sample if name in {"jpg", "png", *map(str.lower, KINDS), "tif"}
            ]
            labels = labeled["labels.npy"]
            assert labels.dtype == np.int8
            found |= seen(sample["__key__"], sample[image], labels, sample["json"])
    assert found == expected


def read_with_dali(packed: Path, indexes: list[Path]) -> Seen:
    """Everything that DALI's reader yields, on the CPU."""
    pytest.importorskip("nvidia.dali")
    from nvidia.dali import fn, pipeline_def, types

    @pipeline_def(batch_size=4, num_threads=1, device_id=None)
    def reading() -> Any:
        outputs = fn.readers.webdataset(
            paths=[str(tar) for tar in tars(packed)],
            index_paths=[str(index) for index in indexes],
            ext=["jpg;png;webp;bmp;tif;gif", "labels.npy", "json"],
            dtypes=[types.UINT8, types.UINT8, types.UINT8],
            missing_component_behavior="error",
            name="reader",
        )
        return (*outputs, fn.get_property(outputs[0], key="source_info"))

    pipe = reading()
    pipe.build()
    found: Seen = {}
    size = pipe.epoch_size("reader")
    while len(found) < size:
        batch = [[np.asarray(row) for row in output] for output in pipe.run()]
        for image, labels, description, source in zip(*batch, strict=True):
            key = source.tobytes().decode().rsplit(":", 1)[1].partition(".")[0]
            row = labels[128:].view(np.int8)
            found |= seen(key, image.tobytes(), row, description.tobytes())
    return found


def test_dali_reads_them_with_our_index(packed: Path, expected: Seen) -> None:
    """DALI's reader finds the same samples by our index; the labels are what follows 128 bytes."""
    assert read_with_dali(packed, [tar.with_suffix(".idx") for tar in tars(packed)]) == expected


def wds2idx(tar: Path, index: Path) -> Path:
    """DALI's own index of a tar."""
    pytest.importorskip("wds2idx")
    command = [sys.executable, "-m", "wds2idx", str(tar), str(index)]
    subprocess.run(command, check=True, capture_output=True)
    return index


def test_dali_reads_them_with_the_index_of_wds2idx(
    packed: Path, expected: Seen, tmp_path: Path
) -> None:
    """DALI's reader finds the same samples by the index of DALI's own tool, which equals ours."""
    indexes = [wds2idx(tar, tmp_path / f"{tar.stem}.idx") for tar in tars(packed)]
    for tar, index in zip(tars(packed), indexes, strict=True):
        assert tar.with_suffix(".idx").read_bytes() == index.read_bytes()
        assert build_index(tar) == index.read_bytes()
    assert read_with_dali(packed, indexes) == expected


def test_the_index_of_a_foreign_tar_equals_that_of_wds2idx(tmp_path: Path) -> None:
    """Folders, links and several members a sample are indexed as DALI's tool does.

    Not so names of more than 100 characters: the tool (2.4.0) gives the offset of the long name in
    place of that of the file.
    """
    folder = tmp_path / "in"
    for name in ("a/0.jpg", "a/0.cls", "a/1.x.png", "b.c/0.jpg", "b.c/0.seg.png", "0.jpg"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode() * 99)
    (folder / "a" / "2.jpg").symlink_to("0.jpg")
    (folder / "a" / ".3.jpg").write_bytes(b"hidden")
    for kind in ("gnu", "posix"):
        tar = tmp_path / f"{kind}.tar"
        command = [
            "tar",
            "-C",
            str(folder),
            "--sort=name",
            f"--format={kind}",
            "-cf",
            str(tar),
            ".",
        ]
        subprocess.run(command, check=True)
        assert build_index(tar) == wds2idx(tar, tmp_path / "x.idx").read_bytes()


def test_plain_tar_unpacks_them(packed: Path, expected: Seen, tmp_path: Path) -> None:
    """GNU tar and tarfile find three files a sample, without a warning."""
    found: Seen = {}
    for tar in tars(packed):
        done = subprocess.run(
            ["tar", "-C", str(tmp_path), "-xf", str(tar)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")
        with tarfile.open(tar, "r:") as opened:
            names = opened.getnames()
            assert not opened.pax_headers
        for first in range(0, len(names), 3):
            image, labels, description = (
                (tmp_path / name).read_bytes() for name in names[first : first + 3]
            )
            key = names[first].partition(".")[0]
            found |= seen(key, image, np.frombuffer(labels[128:], np.int8), description)
    assert found == expected


def test_images_of_other_kinds_keep_their_bytes(packed: Path, expected: Seen) -> None:
    """Whatever its name says, an image's stored bytes hash to what its description says."""
    hashes = {hashlib.sha256(data).hexdigest() for data, _, _ in expected.values()}
    stored, names = set(), []
    for tar in tars(packed):
        with tarfile.open(tar) as opened:
            names += opened.getnames()
            for name in opened.getnames():
                if name.endswith(".json"):
                    stored.add(json.loads(opened.extractfile(name).read())["sha256"])  # type: ignore[union-attr]
    assert stored == hashes
    for kind in ("png", "webp", "bmp", "tif", "gif"):
        assert len([name for name in names if name.endswith(f".{kind}")]) == 1
