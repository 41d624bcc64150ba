"""A whole set has no problems; every kind of damage is found, and named."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from small_sets import CLASSES, build_index, pack_small, small_set

from shards.manifest import Split, read_manifest, write_manifest
from shards.verify import verify

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CUT_SHORT = 12
"""The image of the set that only decoding finds out."""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A packed set, not verified while packing: one image of it is cut short."""
    folder = tmp_path_factory.mktemp("verify")
    annotated = small_set(folder / "in", bad=(CUT_SHORT,))
    pack_small(annotated, folder / "out", verify=False)
    return folder / "out"


@pytest.fixture
def copy(whole: Path, tmp_path: Path) -> Path:
    """A copy of it, to be damaged."""
    return shutil.copytree(whole, tmp_path / "copy")


def swap(file: Path, old: bytes, new: bytes) -> None:
    """Change bytes in the middle of a file."""
    data = file.read_bytes()
    assert old in data
    file.write_bytes(data.replace(old, new, 1))


def rehash(out: Path, number: int = 0, **changes: Any) -> None:
    """Make the manifest agree with a changed shard of 'train', so that only its inside is wrong."""
    import hashlib

    manifest = read_manifest(out)
    shards = list(manifest.splits["train"].shards)
    data = (out / shards[number].name).read_bytes()
    changes = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()} | changes
    shards[number] = replace(shards[number], **changes)
    write_manifest(
        out, replace(manifest, splits={**manifest.splits, "train": Split(tuple(shards))})
    )


def test_a_whole_set_has_no_problems(whole: Path) -> None:
    """Nothing is wrong with a packed set, however many threads look."""
    assert verify(whole, decode=False) == []
    assert verify(whole, decode=False, workers=3) == []


def test_decoding_finds_the_image_that_packing_did_not_check(whole: Path) -> None:
    """With --decode an image cut short is named with shard, sample and reason."""
    (line,) = verify(whole, decode=True)
    assert re.match(
        r"val-000001\.tar: sample val-00000003: its image cannot be used: truncated: ", line
    )


def test_progress_counts_samples(whole: Path) -> None:
    """Progress ends with all samples, and counts problems."""
    seen: list[tuple[int, int, int]] = []
    verify(whole, decode=True, progress=lambda *now: seen.append(now))
    assert [now[0] for now in seen] == [3, 6, 9, 12, 14]
    assert seen[-1] == (14, 14, 1)


def flip_in_image(out: Path) -> None:
    at = (out / "train-000001.tar").read_bytes().index(b"\xff\xda") + 100
    with (out / "train-000001.tar").open("r+b") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ 1]))


def flip_in_header(out: Path) -> None:
    swap(out / "train-000001.tar", b"train-00000004.jpg", b"train-00000009.jpg")


def cut_tar(out: Path) -> None:
    data = (out / "train-000001.tar").read_bytes()
    (out / "train-000001.tar").write_bytes(data[:5000])


def without_sample(out: Path) -> None:
    data = (out / "train-000000.tar").read_bytes()
    (out / "train-000000.tar").write_bytes(data[data.index(b"train-00000001.jpg\0") :])
    rehash(out)
    (out / "train-000000.idx").write_bytes(build_index(out / "train-000000.tar"))


def wrong_labels(out: Path) -> None:
    swap(out / "train-000000.tar", b"\x01\x00\xff" + bytes(9), b"\x00\x01\xff" + bytes(9))
    rehash(out)


def senseless_labels(out: Path) -> None:
    swap(out / "train-000000.tar", b"\x01\x00\xff" + bytes(9), b"\x80\x00\xff" + bytes(9))
    rehash(out)


def other_labels_header(out: Path) -> None:
    swap(out / "train-000000.tar", b"'|i1'", b"'|u1'")
    rehash(out)


def broken_description(out: Path) -> None:
    swap(out / "train-000000.tar", b'{"difficult"', b'?"difficult"')
    rehash(out)


def unknown_name(out: Path) -> None:
    swap(out / "train-000000.tar", b'"labels":["cat"]', b'"labels":["cow"]')
    rehash(out)


def other_size(out: Path) -> None:
    swap(out / "train-000000.tar", b'"width":20', b'"width":21')
    rehash(out)


def swap_image(out: Path) -> None:
    data = bytearray((out / "train-000000.tar").read_bytes())
    at = data.index(b"\xff\xda") + 30
    data[at] ^= 1
    (out / "train-000000.tar").write_bytes(data)
    rehash(out)


def renumbered(out: Path) -> None:
    first, second = out / "train-000000.tar", out / "train-000001.tar"
    one, two = first.read_bytes(), second.read_bytes()
    first.write_bytes(two)
    second.write_bytes(one)
    for number, tar in enumerate((first, second)):
        rehash(out, number)
        tar.with_suffix(".idx").write_bytes(build_index(tar))


def rename_classes(out: Path, classes: tuple[str, ...]) -> None:
    write_manifest(out, replace(read_manifest(out), classes=classes))


def leave(out: Path, name: str) -> None:
    (out / name).parent.mkdir(exist_ok=True)
    (out / name).touch()


def unfinished(out: Path) -> None:
    (out / "dataset.json").unlink()
    (out / ".progress").mkdir()


TAR, INDEX = r"train-000001\.tar: ", r"train-000001\.idx: "
SAMPLE = r"train-000000\.tar: sample train-00000000: its "
ELSEWHERE = r"not listed in dataset\.json"

DAMAGES: dict[str, tuple[Callable[[Path], Any], list[str]]] = {
    "no tar": (lambda out: (out / "train-000001.tar").unlink(), [TAR + "cannot be read: No such"]),
    "no index": (
        lambda out: (out / "train-000001.idx").unlink(),
        [INDEX + "cannot be read: No such"],
    ),
    "wrong index": (
        lambda out: swap(out / "train-000001.idx", b" 512 ", b" 513 "),
        [INDEX + "does not match its tar"],
    ),
    "flipped bit in an image": (
        flip_in_image,
        [
            TAR + r"its sha256 differs from dataset\.json",
            TAR + r"sample train-00000003: its image's sha256 differs from its \.json",
        ],
    ),
    "flipped bit in a header": (
        flip_in_header,
        [
            TAR + r"its sha256 differs from dataset\.json",
            TAR + r"damaged: no valid header at byte \d+",
            INDEX + "does not match its tar",
            TAR + r"1 samples, but dataset\.json says 3",
        ],
    ),
    "truncated": (
        cut_tar,
        [
            TAR + r"5000 bytes, but dataset\.json says 20480",
            TAR + "truncated: ",
            INDEX + "does not match its tar",
            TAR + r"2 samples, but dataset\.json says 3",
            TAR + r"sample train-00000004: its members are train-00000004\.jpg\. ",
        ],
    ),
    "sample left out": (
        without_sample,
        [
            r"train-000000\.tar: 2 samples, but dataset\.json says 3",
            SAMPLE + r"members are train-00000001\.jpg, ",
            r"sample train-00000001: its members are train-00000002\.jpg, ",
        ],
    ),
    "other labels": (wrong_labels, [SAMPLE + r"labels\.npy and the names in its \.json differ"]),
    "senseless label": (senseless_labels, [SAMPLE + r"labels\.npy is not 3 values of -1, 0 or 1"]),
    "other type": (other_labels_header, [SAMPLE + r"labels\.npy is not 3 values of -1, 0 or 1"]),
    "broken json": (broken_description, [SAMPLE + r"\.json is damaged"]),
    "unknown class": (
        unknown_name,
        [r"sample train-00000000: its \.json names an unknown class .*'cow'"],
    ),
    "other width": (other_size, [SAMPLE + r"image is 20 x 16, but its \.json says"]),
    "other image": (swap_image, [SAMPLE + r"image's sha256 differs from its \.json"]),
    "shards changed over": (
        renumbered,
        [
            rf"sample train-0000000{serial}: its members are train-0000000{(serial + 3) % 6}\.jpg"
            for serial in range(6)
        ],
    ),
    "classes changed over": (
        lambda out: rename_classes(out, (CLASSES[1], CLASSES[0], CLASSES[2])),
        [SAMPLE + r"labels\.npy and the names in its \.json differ", *["json differ"] * 13],
    ),
    "stray shard": (
        lambda out: shutil.copy(out / "train-000000.tar", out / "train-000007.tar"),
        [r"train-000007\.tar: " + ELSEWHERE],
    ),
    "temporary file": (
        lambda out: leave(out, ".train-000000.idx.tmp"),
        [r"\.train-000000\.idx\.tmp: " + ELSEWHERE],
    ),
    "shard begun": (
        lambda out: leave(out, ".progress/val-000000.tar"),
        [r"\.progress/val-000000\.tar: " + ELSEWHERE],
    ),
    "no manifest": (
        lambda out: (out / "dataset.json").unlink(),
        [r"no dataset\.json, so not a packed set"],
    ),
    "unfinished": (unfinished, ["the set is unfinished"]),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_each_damage_is_named(damage: str, copy: Path) -> None:
    """Each kind of damage gives its lines and no other, each naming the shard and the sample."""
    cause, lines = DAMAGES[damage]
    cause(copy)
    problems = verify(copy, decode=False)
    assert len(problems) == len(lines), problems
    for problem, line in zip(problems, lines, strict=True):
        assert re.search(line, problem)
        assert "\n" not in problem
        assert problem.endswith(".")


def test_other_peoples_files_are_no_problem(copy: Path) -> None:
    """Notes, checksums and an empty `.progress` beside the shards are not the set's business."""
    (copy / "README.txt").write_text("mine")
    (copy / ".gitignore").write_text("*")
    (copy / ".progress").mkdir()
    (copy / ".progress" / "lock").touch()
    assert verify(copy, decode=False) == []


def test_what_is_proven_is_what_was_packed(whole: Path) -> None:
    """The manifest's hashes are those that sha256sum gives."""
    import subprocess

    value = json.loads((whole / "dataset.json").read_text())
    for shard in value["splits"]["train"]["shards"]:
        command = ["sha256sum", str(whole / shard["name"])]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert done.stdout.split()[0] == shard["sha256"]
