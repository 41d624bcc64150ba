"""Near duplicates of a packed set: pairs across splits first, nothing left out silently."""

from __future__ import annotations

import csv
import io
import os
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image
from small_sets import pack_small

from shards.duplicates import Duplicates, find_duplicates, write_duplicates
from shards.errors import DamageError
from shards.sample import AnnotatedSet, Sample
from shards.tar.images import list_tar

if TYPE_CHECKING:
    from pathlib import Path

STRANGE = os.fsdecode(b"<b>\n,;\xff.jpg")


def blurred(seed: int, *, width: int = 160, quality: int = 95) -> bytes:
    """A soft drawing, which differs from those of other seeds."""
    pixels = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    image = Image.fromarray(pixels).resize((width, width * 3 // 4), Image.Resampling.BICUBIC)
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return file.getvalue()


def flat(gray: int) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (40, 30), (gray, gray, gray)).save(file, "PNG")
    return file.getvalue()


TRAIN = {
    "a.jpg": (blurred(1), ("cat",)),
    "b.jpg": (blurred(2), ("dog",)),
    "b_small.jpg": (blurred(2, width=80), ("dog",)),
    "c.jpg": (blurred(3), ("dog", "person")),
    "black.png": (flat(0), ("cat",)),
    "white.png": (flat(255), ("cat",)),
    "cut.jpg": (blurred(4)[:-300], ("cat",)),
}
VAL = {
    "a_again.jpg": (blurred(1, quality=50), ("cat",)),
    STRANGE: (blurred(3), ("dog",)),
    "d.jpg": (blurred(5), ("cat",)),
    "black_again.png": (flat(0), ("cat",)),
}


def packed(
    root: Path, *, verify: bool = False, **splits: dict[str, tuple[bytes, tuple[str, ...]]]
) -> Path:
    (root / "in").mkdir()
    samples: dict[str, list[Sample]] = {name: [] for name in splits}
    for split, files in splits.items():
        for name, (data, labels) in files.items():
            (root / "in" / name).write_bytes(data)
            samples[split].append(Sample(name, labels, ("cat",) if name == STRANGE else ()))
    every = sorted((s for part in samples.values() for s in part), key=lambda s: s.path)
    annotated = AnnotatedSet(root / "in", tuple(every))
    pack_small(annotated, root / "out", splits=samples, verify=verify)
    return root / "out"


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Duplicates:
    folder = packed(tmp_path_factory.mktemp("duplicates"), train=TRAIN, val=VAL)
    return find_duplicates(folder, distance=6, max_pixels=10**6, workers=3)


def test_pairs_across_splits_come_first(found: Duplicates) -> None:
    """Exact copies across splits, near ones across splits, and then those within a split."""
    assert [(p.path, p.other_path, p.exact) for p in found.pairs] == [
        (STRANGE, "c.jpg", True),
        ("black_again.png", "black.png", True),
        ("a_again.jpg", "a.jpg", False),
        ("b_small.jpg", "b.jpg", False),
    ]
    assert [p.split for p in found.leaks] == ["val"] * 3
    assert [p.other_split for p in found.leaks] == ["train"] * 3
    assert all(p.distance <= 6 for p in found.pairs)


def test_images_with_a_copy_elsewhere_are_counted(found: Duplicates) -> None:
    """Per split: how many of its images another split has, too."""
    assert found.images == {"train": 7, "val": 4}
    assert found.leaked == {"train": 3, "val": 3}


def test_labels_that_differ_are_named(found: Duplicates) -> None:
    """Only 1 against 0: a difficult class of one image contradicts nothing."""
    assert {p.path: p.labels_differ for p in found.pairs if p.labels_differ} == {
        STRANGE: ("person",)
    }


def test_what_has_no_hash_is_named(found: Duplicates) -> None:
    """Flat images are compared by their bytes only, as are images that cannot be decoded."""
    assert sorted(found.flat) == ["black.png", "black_again.png", "white.png"]
    (bad,) = found.unreadable
    assert (bad.path, str(bad.fault.reason)) == ("cut.jpg", "truncated")


def test_the_table_reads_back(found: Duplicates, tmp_path: Path) -> None:
    """Line breaks and bytes that are no UTF-8 survive; one row per pair."""
    write_duplicates(tmp_path / "d.csv", found)
    text = (tmp_path / "d.csv").read_bytes().decode("utf-8", "surrogateescape")
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert [(r["path"], r["other_path"], int(r["distance"]), r["exact"]) for r in rows] == [
        (p.path, p.other_path, p.distance, str(int(p.exact))) for p in found.pairs
    ]
    assert [r["labels_differ"] for r in rows if r["path"] == STRANGE] == ["person"]


def test_every_image_with_a_copy_in_another_split_is_in_a_row(tmp_path: Path) -> None:
    """Of three equal images in one split and two in another, each is paired across the splits."""
    same = (blurred(1), ("cat",))
    folder = packed(
        tmp_path, train={f"t{i}.jpg": same for i in range(3)}, val={"v0.jpg": same, "v1.jpg": same}
    )
    found = find_duplicates(folder, distance=0, max_pixels=10**6)
    assert found.leaked == {"train": 3, "val": 2}
    leaked = {name for p in found.leaks for name in (p.path, p.other_path)}
    assert leaked == {"t0.jpg", "t1.jpg", "t2.jpg", "v0.jpg", "v1.jpg"}


def test_a_set_of_bad_images(tmp_path: Path) -> None:
    """Nothing can be decoded: no pair, each named."""
    cut = {f"{i}.jpg": (blurred(i)[:-300], ("cat",)) for i in range(3)}
    found = find_duplicates(packed(tmp_path, train=cut), distance=6, max_pixels=10**6)
    assert (found.pairs, len(found.unreadable)) == ((), 3)


def test_an_image_that_was_damaged_after_packing_is_unreadable(tmp_path: Path) -> None:
    """A flipped bit shows in a set that was packed with verification; its copy is left alone."""
    same = {f"{i}.jpg": (blurred(1), ("cat",)) for i in range(3)}
    folder = packed(tmp_path, verify=True, train=same)
    tar = folder / "train-000000.tar"
    ref = list_tar(tar).images[1]
    data = bytearray(tar.read_bytes())
    data[ref.offset + ref.size // 2] ^= 1
    tar.write_bytes(data)
    found = find_duplicates(folder, distance=6, max_pixels=10**6)
    assert [str(bad.fault.reason) for bad in found.unreadable] == ["corrupt"]
    assert [bad.path for bad in found.unreadable] == ["1.jpg"]
    # equal by the hashes of what was packed
    assert {(p.path, p.other_path) for p in found.pairs} >= {("2.jpg", "0.jpg")}


def test_a_damaged_set_is_an_error(tmp_path: Path) -> None:
    """Without an index, or without a manifest, there is nothing to compare."""
    folder = packed(tmp_path, train={"a.jpg": TRAIN["a.jpg"]})
    (folder / "train-000000.idx").unlink()
    with pytest.raises(DamageError, match="missing"):
        find_duplicates(folder, distance=6, max_pixels=10**6)
