"""Images packed with verification are compared with their hashes, by every loader alike."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from kinds import encoded, photo
from workshop import MAX_PIXELS, by_row, make

from shards.images import jpeg
from shards.packing.pack import pack
from shards.reader import load_split
from shards.sample import AnnotatedSet, ImageRef, Sample
from shards.tar.images import list_tar
from vocscore.pipeline.preprocess import Preprocess

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vocscore.pipeline.batch import Failure

LOADERS = ("host", "dali", "reference")
PREPROCESS = Preprocess(size=32)
IMAGES = 48
OTHER_BYTES = "corrupt: its bytes are not those that were packed (SHA-256)"


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> AnnotatedSet:
    """Copies of five small files, one of them progressive and one a PNG."""
    folder = tmp_path_factory.mktemp("hashes") / "in"
    folder.mkdir()
    small = photo(48, 40)
    kinds = [
        encoded(small, "JPEG", quality=90),
        encoded(small, "JPEG", quality=90, subsampling="4:4:4"),
        encoded(small, "JPEG", quality=80, progressive=True),
        encoded(small.convert("L"), "JPEG"),
        encoded(small, "PNG"),
    ]
    for number in range(IMAGES):
        (folder / f"{number:02d}").write_bytes(kinds[number % len(kinds)])
    samples = tuple(Sample(f"{number:02d}", ("cat",)) for number in range(IMAGES))
    return AnnotatedSet(folder, samples)


def packed(images: AnnotatedSet, out: Path, *, verify: bool = True) -> Path:
    pack(
        images,
        {"train": images.samples},
        out,
        classes=("cat",),
        shard_samples=100,
        verify=verify,
        max_bad=0,
        max_pixels=MAX_PIXELS,
        resize=None,
        quality=95,
        workers=1,
        overwrite=False,
        settings={},
    )
    return out


def listed(shards: Path) -> tuple[ImageRef, ...]:
    return list_tar(shards / "train-000000.tar").images


def flip(tar: Path, place: int, bit: int) -> None:
    with tar.open("r+b") as file:
        file.seek(place)
        byte = file.read(1)[0] ^ 1 << bit
        file.seek(place)
        file.write(bytes([byte]))


def flip_one_bit_each(shards: Path, *, seed: int) -> None:
    """In every image; among the places are the first and the last byte."""
    chance = random.Random(seed)
    for row, ref in enumerate(listed(shards)):
        place = (0, ref.size - 1)[row] if row < 2 else chance.randrange(ref.size)
        flip(Path(ref.file), ref.offset + place, chance.randrange(8))


def outcomes(
    name: str, refs: Sequence[ImageRef], *, device: str = "cpu"
) -> tuple[list[str | None], dict[int, np.ndarray]]:
    """What is wrong with each row, and the pixels of the good ones."""
    with make(name, PREPROCESS, device=device) as loader:
        batches = list(loader.batches(refs))
    faults: list[str | None] = [None] * len(refs)
    failures: list[Failure] = [failure for batch in batches for failure in batch.failures]
    for failure in failures:
        faults[failure.row] = str(failure.fault)
    return faults, by_row(batches)


@pytest.mark.parametrize("seed", range(3))
def test_a_flipped_bit_anywhere_is_corrupt_with_every_loader(
    seed: int, images: AnnotatedSet, tmp_path: Path
) -> None:
    """One fault, whether or not the image would decode; decoding alone finds less."""
    shards = packed(images, tmp_path / "out")
    flip_one_bit_each(shards, seed=seed)
    refs = listed(shards)
    for name in LOADERS:
        assert outcomes(name, refs)[0] == [OTHER_BYTES] * IMAGES
    blind = [replace(ref, sha256=None) for ref in refs]
    missed = outcomes("host", blind)[0].count(None)
    assert missed > IMAGES // 8


@pytest.mark.gpu
def test_a_flipped_bit_anywhere_is_corrupt_on_a_gpu(images: AnnotatedSet, tmp_path: Path) -> None:
    """And intact images, which nothing else looks at, are all decoded."""
    shards = packed(images, tmp_path / "out")
    assert outcomes("dali", listed(shards), device="cuda:0")[0] == [None] * IMAGES
    flip_one_bit_each(shards, seed=0)
    assert outcomes("dali", listed(shards), device="cuda:0")[0] == [OTHER_BYTES] * IMAGES


@pytest.mark.parametrize("name", LOADERS)
def test_intact_images_are_those_of_a_set_without_verification(
    name: str, images: AnnotatedSet, tmp_path: Path
) -> None:
    """Pixels are equal to the bit; only the dataset.json differs."""
    one, other = (packed(images, tmp_path / str(v), verify=v) for v in (True, False))
    tar = "train-000000.tar"
    assert (one / tar).read_bytes() == (other / tar).read_bytes()
    (faults, expected), (_, found) = outcomes(name, listed(other)), outcomes(name, listed(one))
    assert faults == [None] * IMAGES
    assert all(np.array_equal(found[row], pixels) for row, pixels in expected.items())


@pytest.mark.parametrize("how", ["packed so", "an old dataset.json", "another program's"])
def test_without_verification_nothing_is_compared(
    how: str, images: AnnotatedSet, tmp_path: Path
) -> None:
    """Verdicts are those of the same bytes as loose files."""
    shards = packed(images, tmp_path / "out", verify=how != "packed so")
    told = json.loads((shards / "dataset.json").read_text())
    if how == "an old dataset.json":
        del told["config"]["verify"]
        (shards / "dataset.json").write_text(json.dumps(told))
    elif how == "another program's":
        (shards / "dataset.json").unlink()
    flip_one_bit_each(shards, seed=0)
    refs = listed(shards)
    assert {ref.sha256 for ref in refs} == {None}
    tar = (shards / "train-000000.tar").read_bytes()
    loose = []
    for row, ref in enumerate(refs):
        (tmp_path / str(row)).write_bytes(tar[ref.offset : ref.offset + ref.size])
        loose.append(ImageRef(ref.name, str(tmp_path / str(row))))
    expected = outcomes("host", loose)[0]
    assert None in expected
    for name in LOADERS:
        assert outcomes(name, refs)[0] == expected


def test_the_graph_gets_compared_images_without_the_strict_look(
    images: AnnotatedSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hash replaces it; without a hash, each JPEG that the graph gets is looked at."""
    refs = listed(packed(images, tmp_path / "out"))
    checked = []
    monkeypatch.setattr(jpeg, "check", checked.append)
    faults, _ = outcomes("dali", refs)
    assert (faults, checked) == ([None] * IMAGES, [])
    outcomes("dali", [replace(ref, sha256=None) for ref in refs])
    assert len(checked) == sum(number % 5 in (0, 1, 3) for number in range(IMAGES))  # baseline


def test_a_damaged_description_costs_the_comparison_or_the_image(
    images: AnnotatedSet, tmp_path: Path
) -> None:
    """Without a hash, images are decoded strictly, as elsewhere; another hash is believed."""
    shards = packed(images, tmp_path / "out")
    tar = shards / "train-000000.tar"
    data = tar.read_bytes()
    for number, (old, new) in enumerate(
        [
            (b'"path":', b'"path"?'),  # not JSON
            (b'"sha256":', b'"sha257":'),
            (b'"sha256":"', b'"sha256":"g'),
        ]
    ):
        place = data.index(old, data.index(b'"path":"%02d"' % (10 * number)))
        data = data[:place] + new + data[place + len(new) :]
    place = data.index(b'"sha256":"', data.index(b'"path":"40"')) + 10
    other = b"1" if data[place : place + 1] == b"0" else b"0"
    data = data[:place] + other + data[place + 1 :]
    tar.write_bytes(data)
    refs = listed(shards)
    assert [row for row, ref in enumerate(refs) if ref.sha256 is None] == [0, 10, 20]
    assert [row for row, ref in enumerate(refs) if "/" in ref.name] == [0]
    for name in LOADERS:
        assert [row for row, fault in enumerate(outcomes(name, refs)[0]) if fault] == [40]


def test_a_tar_that_ends_early_is_truncated(images: AnnotatedSet, tmp_path: Path) -> None:
    """As before: what is missing is not compared, and what was read of it is not either."""
    shards = packed(images, tmp_path / "out")
    refs = listed(shards)
    tar = shards / "train-000000.tar"
    tar.write_bytes(tar.read_bytes()[: refs[-1].offset + 100])
    for name in LOADERS:
        faults, _ = outcomes(name, refs)
        assert faults[:-1] == [None] * (IMAGES - 1)
        assert str(faults[-1]).startswith("truncated: the file ends after 100 of")


def test_labels_and_rows_of_training_have_the_same_hashes(
    images: AnnotatedSet, tmp_path: Path
) -> None:
    """The images of a split are compared too; no hash is held twice in memory."""
    shards = packed(images, tmp_path / "out")
    split = load_split(shards, "train")
    assert split.images == listed(shards)
    assert all(ref.sha256 is known for ref, known in zip(split.images, split.sha256, strict=True))


def test_fetched_bytes_are_compared(images: AnnotatedSet, tmp_path: Path) -> None:
    """Those of object storage come to the loaders in memory."""
    refs = listed(packed(images, tmp_path / "out"))
    tar = Path(refs[0].file).read_bytes()
    held = [
        replace(ref, data=tar[ref.offset : ref.offset + ref.size], offset=0, size=-1)
        for ref in refs
    ]
    assert held[3].data is not None
    held[3] = replace(held[3], data=bytes([held[3].data[0], held[3].data[1] ^ 1]))
    for name in LOADERS:
        faults, _ = outcomes(name, held)
        assert faults == [OTHER_BYTES if row == 3 else None for row in range(IMAGES)]
