"""`vocscore pack` of the sources that it tells apart: what is printed, written and refused."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pack_runs import image, pack, refused

if TYPE_CHECKING:
    from pathlib import Path


def put(root: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return root


def folders(root: Path) -> Path:
    names = ("train/cat/a.png", "train/dog/b.png", "val/cat/c.png", "val/dog/c.png")
    return put(root, {name: image(seed, "PNG") for seed, name in enumerate(names)})


def described(out: Path) -> dict[str, tuple[str, list[str], bytes]]:
    """Path -> split, labels and bytes, as WebDataset reads the shards."""
    import webdataset as wds

    files = sorted(map(str, out.glob("*.tar")))
    found = {}
    for sample in wds.WebDataset(files, shardshuffle=False, empty_check=False):
        text = json.loads(sample["json"])
        split = sample["__key__"].partition("-")[0]
        found[text["path"]] = (split, text["labels"], sample["png"])
    return found


def test_what_was_understood_is_printed_first(tmp_path: Path) -> None:
    """Source, classes with counts, splits, and what is left out, before the shards."""
    source = put(folders(tmp_path / "in"), {"train/stray.png": image(9, "PNG")})
    result = pack(source, "-o", tmp_path / "out", "--max-bad", 1)
    assert result.exit_code == 0, result.output
    head, _, _ = result.stdout.partition("train: ")
    assert head.splitlines() == [
        "source: folders (one folder per class in train/, val/: cat/, dog/)",
        "classes: 2, with the number of images that show each:",
        "  cat 2, dog 2",
        "images: 4 (0 without labels)",
        "splits: train 2, val 2",
        "cannot be used: 1 not_annotated (train/stray.png: in no folder of a class)",
    ]
    assert {path: (s, n) for path, (s, n, _) in described(tmp_path / "out").items()} == {
        "train/cat/a.png": ("train", ["cat"]),
        "train/dog/b.png": ("train", ["dog"]),
        "val/cat/c.png": ("val", ["cat"]),
        "val/dog/c.png": ("val", ["dog"]),
    }


def test_images_in_parquet_are_packed_byte_for_byte(tmp_path: Path) -> None:
    """Paths in no order, row groups of any size, threads: the bytes stay with their labels."""
    source = tmp_path / "in"
    source.mkdir()
    rows = [
        {"image": {"bytes": image(n, "PNG"), "path": f"{n:03d}.png"}, "label": f"c{n % 3}"}
        for n in range(70)
    ]
    random.Random(5).shuffle(rows)
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    schema = pa.schema([("image", kind), ("label", pa.string())])
    for split, part in (("train", rows[:50]), ("test", rows[50:])):
        file = source / f"{split}-00000-of-00001.parquet"
        pq.write_table(pa.Table.from_pylist(part, schema), file, row_group_size=17)
    outs = [tmp_path / "one", tmp_path / "four"]
    for out, workers in zip(outs, (1, 4), strict=True):
        result = pack(source, "-o", out, "--workers", workers, "--shard-samples", 20)
        assert result.exit_code == 0, result.output
        assert "source: hf (Parquet: " in result.stdout
    assert described(outs[0]) == {
        row["image"]["path"]: (split, [row["label"]], row["image"]["bytes"])
        for split, part in (("train", rows[:50]), ("test", rows[50:]))
        for row in part
    }
    shards = [{file.name: file.read_bytes() for file in out.glob("*.tar")} for out in outs]
    assert shards[0] == shards[1]
    assert (
        "already contains exactly this set"
        in pack(source, "-o", outs[0], "--shard-samples", 20).stdout
    )


def test_a_doubtful_folder_is_refused(tmp_path: Path) -> None:
    """Two sources that look right: one line with both; --from decides."""
    source = put(folders(tmp_path / "in"), {"labels.csv": b"path,labels\ntrain/cat/a.png,cat\n"})
    line = refused(tmp_path / "out", source)
    assert "--from table or --from folders" in line
    assert pack(source, "-o", tmp_path / "out", "--from", "folders").exit_code == 0


@pytest.mark.parametrize(
    ("words", "match"),
    [
        (["--from", "folders", "--labels", "{csv}"], "--labels is for --from table, hf"),
        (
            ["--from", "hf", "--label-separator", "|", "--coco", "{csv}"],
            "--coco is for --from coco",
        ),
        (["--from", "voc", "--label-column", "x"], "--label-column is for --from hf, labelstudio"),
        (["--from", "google"], "no import CSV"),
        (["--from", "roboflow"], "no _classes.csv"),
        (["--from", "hf"], "no metadata.csv"),
        (["--from", "coco"], "no COCO file"),
        (["--from", "table"], "no table of labels"),
    ],
)
def test_options_of_other_sources(tmp_path: Path, words: list[str], match: str) -> None:
    """One line, exit code 2, nothing written."""
    put(tmp_path, {"l.csv": b"path,labels\n"})
    words = [word.format(csv=tmp_path / "l.csv") for word in words]
    assert match in refused(tmp_path / "out", folders(tmp_path / "in"), *words)
