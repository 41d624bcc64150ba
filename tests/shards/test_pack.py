"""An annotated set into shards: equal bytes, resuming, and everything that can go wrong."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from small_sets import CLASSES, content, image_bytes, pack_small, small_set

import shards.packing.packer
from shards import atomic
from shards.errors import DamageError, Fault, LabelError, PackError, Reason
from shards.images.image_file import read_bytes
from shards.manifest import read_manifest
from shards.reader import load_split
from shards.sample import AnnotatedSet, Rejection, Sample
from shards.verify import verify

HERE = Path(__file__).parent


def rows(out: Path) -> list[dict[str, str]]:
    """The lines of rejected.csv."""
    with (out / "rejected.csv").open(
        encoding="utf-8", errors="surrogateescape", newline=""
    ) as file:
        return list(csv.DictReader(file))


def test_a_set_has_its_files_and_no_other(tmp_path: Path) -> None:
    """Full shards, a smaller last one a split, an index each, manifest, rejected.csv; no more."""
    report = pack_small(small_set(tmp_path / "in", images=14), tmp_path / "out")
    names = [
        f"{shard.name[:-4]}{end}" for shard in report.manifest.shards() for end in (".idx", ".tar")
    ]
    assert sorted(content(tmp_path / "out")) == sorted([*names, "dataset.json", "rejected.csv"])
    assert [(s.name, s.samples) for s in report.manifest.shards()] == [
        ("train-000000.tar", 3),
        ("train-000001.tar", 3),
        ("train-000002.tar", 3),
        ("val-000000.tar", 3),
        ("val-000001.tar", 2),
    ]
    assert (report.unchanged, report.rejected) == (False, ())
    assert report.manifest == read_manifest(tmp_path / "out")
    assert verify(tmp_path / "out", decode=True) == []


def test_the_manifest_records_what_decided_the_bytes(tmp_path: Path) -> None:
    """dataset.json holds the settings and neither a time nor the place of anything."""
    manifest = pack_small(small_set(tmp_path / "in"), tmp_path / "out", resize=8).manifest
    assert manifest.config == {
        "seed": 0,
        "shard_samples": 3,
        "verify": True,
        "max_pixels": 1_000_000,
        "resize": 8,
        "quality": 95,
    }
    assert str(tmp_path) not in (tmp_path / "out" / "dataset.json").read_text()


@pytest.mark.parametrize("workers", [1, 5])
def test_bytes_do_not_depend_on_workers_or_place(workers: int, tmp_path: Path) -> None:
    """Packed from a copy elsewhere, with any number of threads, a set has the same bytes."""
    first = small_set(tmp_path / "in", images=40, bad=(3, 17, 18))
    pack_small(first, tmp_path / "one", workers=2, max_bad=1)
    shutil.copytree(tmp_path / "in", tmp_path / "elsewhere")
    again = AnnotatedSet(tmp_path / "elsewhere", first.samples)
    pack_small(again, tmp_path / "two", workers=workers, max_bad=1)
    assert content(tmp_path / "two") == content(tmp_path / "one")


def test_the_order_of_samples_does_not_matter(tmp_path: Path) -> None:
    """Samples are packed by path, in whatever order they come."""
    annotated = small_set(tmp_path / "in")
    pack_small(annotated, tmp_path / "one", splits={"train": annotated.samples})
    pack_small(annotated, tmp_path / "two", splits={"train": annotated.samples[::-1]})
    assert content(tmp_path / "two") == content(tmp_path / "one")
    names = [ref.name for ref in load_split(tmp_path / "two", "train").images]
    assert names == [sample.path for sample in annotated.samples]


@pytest.mark.parametrize("how", ["steps", "overwrite", "times", "units"])
def test_killed_at_any_moment_it_goes_on_to_the_same_bytes(how: str, tmp_path: Path) -> None:
    """Killed before each step on the disk, or at any time, a set is whole or says that it is not.

    The next run ends with the bytes of an undisturbed one, also where it replaces another set.
    """
    command = [sys.executable, str(HERE / "pack_and_die.py"), str(tmp_path), how]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE.parents[1]), str(HERE)])}
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(found) >= 30
    assert [line for line in found if not line["same"]] == []
    assert [line for line in found if line["problems"]] == []
    states = {line["state"].removeprefix(f"{tmp_path / 'out'}: ")[:22] for line in found}
    assert {"whole", "the set is unfinished:"} & states
    assert states <= {"whole", "the set is unfinished:", "no dataset.json, so no"}
    if how == "steps":
        assert {line["indexes"] for line in found} == {0, 1, 2, 3, 4, 5}


def test_finished_shards_are_not_written_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An interrupted run keeps its finished shards, and the next one reads only the rest."""
    annotated = small_set(tmp_path / "in")
    read: list[str] = []
    real = shards.packing.packer.ShardWriter.add

    def add(self: Any, image: Any, *, key: str) -> None:
        read.append(image.sample.path)
        if len(read) == 8:
            raise KeyboardInterrupt
        real(self, image, key=key)

    monkeypatch.setattr(shards.packing.packer.ShardWriter, "add", add)
    with pytest.raises(KeyboardInterrupt):
        pack_small(annotated, tmp_path / "out")
    kept = content(tmp_path / "out")
    assert [name for name in kept if name.endswith(".tar")] == [
        "train-000000.tar",
        "train-000001.tar",
    ]
    with pytest.raises(DamageError, match="unfinished"):
        read_manifest(tmp_path / "out")
    pack_small(annotated, tmp_path / "out")
    assert read[8:] == [sample.path for sample in annotated.samples[6:]]
    pack_small(annotated, tmp_path / "undisturbed")
    assert content(tmp_path / "out") == content(tmp_path / "undisturbed")


def test_bytes_are_on_the_disk_before_their_names_and_those_before_the_journal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A crash of the machine finds no name without its bytes, and no record without its shard."""
    calls: list[str] = []
    real_sync, real_replace = os.fsync, Path.replace

    def fsync(descriptor: int) -> None:
        name = Path(f"/proc/self/fd/{descriptor}").readlink().name
        written = atomic.final_name(name)
        calls.append(f"sync {name}" if written == name else f"sync {written} being written")
        real_sync(descriptor)

    def replace(source: Path, target: Path) -> Path:
        calls.append(f"name {target.name}")
        return real_replace(source, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "replace", replace)
    annotated = small_set(tmp_path / "in", images=2)
    pack_small(annotated, tmp_path / "out", splits={"train": annotated.samples})
    start = calls.index("sync train-000000.tar")
    assert calls[start:] == [
        "sync train-000000.tar",
        "sync train-000000.idx",
        "name train-000000.tar",
        "name train-000000.idx",
        "sync out",
        "sync journal.jsonl",
        "sync rejected.csv being written",
        "name rejected.csv",
        "sync out",
        "sync dataset.json being written",
        "name dataset.json",
        "sync out",
    ]


@pytest.mark.parametrize("how", ["half a line", "a damaged line"])
def test_a_journal_that_was_cut_short_costs_only_its_last_shards(how: str, tmp_path: Path) -> None:
    """What the journal does not say in a whole line is packed again, to the same bytes."""
    annotated = small_set(tmp_path / "in", bad=(13,))
    with pytest.raises(PackError):
        pack_small(annotated, tmp_path / "out")
    journal = tmp_path / "out" / ".progress" / "journal.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    assert len(lines) == 5
    lines[3] = lines[3][:-9] if how == "half a line" else lines[3].replace(b'"next"', b'"nxet"')
    journal.write_bytes(b"".join(lines[:4]))
    inodes = {path.name: path.stat().st_ino for path in (tmp_path / "out").glob("*.tar")}
    pack_small(annotated, tmp_path / "out", max_bad=1)
    same = [n for n, inode in inodes.items() if (tmp_path / "out" / n).stat().st_ino == inode]
    assert sorted(same) == ["train-000000.tar", "train-000001.tar", "train-000002.tar"]
    pack_small(annotated, tmp_path / "undisturbed", max_bad=1)
    assert content(tmp_path / "out") == content(tmp_path / "undisturbed")


@pytest.mark.parametrize("spoil", ["gone", "short", "no index"])
def test_a_finished_shard_that_was_damaged_is_packed_again(spoil: str, tmp_path: Path) -> None:
    """A shard of an unfinished set that is gone or has another size is made anew."""
    annotated = small_set(tmp_path / "in", bad=(13,))
    with pytest.raises(PackError):
        pack_small(annotated, tmp_path / "out")
    tar = tmp_path / "out" / "train-000001.tar"
    if spoil == "gone":
        tar.unlink()
    elif spoil == "short":
        tar.write_bytes(tar.read_bytes()[:-1])
    else:
        tar.with_suffix(".idx").unlink()
    pack_small(annotated, tmp_path / "out", max_bad=1)
    pack_small(annotated, tmp_path / "undisturbed", max_bad=1)
    assert content(tmp_path / "out") == content(tmp_path / "undisturbed")


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"classes": ("dog", "cat", "person")}, r'classes \["cat", "dog", "person"\], now'),
        ({"settings": {"seed": 1}}, "seed 0, now 1"),
        ({"settings": {}}, "seed 0, now null"),
        ({"resize": 8}, "quality null, now 95; resize null, now 8"),
        ({"verify": False}, "verify true, now false"),
        ({"max_pixels": 5}, "max_pixels 1000000, now 5"),
    ],
)
def test_another_plan_says_in_what_it_differs(
    changes: dict[str, Any], line: str, tmp_path: Path
) -> None:
    """Other settings or classes are not mixed into a set, finished or not; they are named."""
    annotated = small_set(tmp_path / "in", bad=(13,))
    with pytest.raises(PackError):
        pack_small(annotated, tmp_path / "unfinished")
    pack_small(annotated, tmp_path / "finished", max_bad=1)
    for folder in ("unfinished", "finished"):
        before = content(tmp_path / folder)
        with pytest.raises(PackError, match=line + ".* `overwrite=True`"):
            pack_small(annotated, tmp_path / folder, max_bad=1, **changes)
        assert content(tmp_path / folder) == before


@pytest.mark.parametrize("change", ["label", "image", "more", "rejected", "split", "touched"])
def test_another_source_is_not_mixed_in(change: str, tmp_path: Path) -> None:
    """Other labels, images or splits since the run was stopped are noticed."""
    annotated = small_set(tmp_path / "in", bad=(13,))
    with pytest.raises(PackError):
        pack_small(annotated, tmp_path / "out")
    samples, changes = list(annotated.samples), {}
    rejected: tuple[Rejection, ...] = ()
    if change == "label":
        samples[0] = Sample(samples[0].path, ("dog",))
    elif change == "image":
        (tmp_path / "in" / "000.jpg").write_bytes(image_bytes(99, "PNG"))
    elif change == "more":
        samples.append(Sample("new.jpg", ()))
    elif change == "rejected":
        rejected = (Rejection("x.jpg", Fault(Reason.MISSING, "")),)
    elif change == "split":
        changes = {"splits": {"train": samples[1:], "val": samples[:1]}}
    else:
        os.utime(tmp_path / "in" / "000.jpg", ns=(1, 1))
    other = AnnotatedSet(annotated.root, tuple(samples), rejected=rejected)
    line = "images that have changed" if change == "touched" else "different images, labels or"
    with pytest.raises(PackError, match=f"started with {line}.* `overwrite=True`"):
        pack_small(other, tmp_path / "out", max_bad=1, **changes)


def test_too_many_bad_images_are_an_error_that_a_higher_limit_undoes(tmp_path: Path) -> None:
    """Above --max-bad the run fails with count, share and place; with a higher one it ends well."""
    annotated = small_set(tmp_path / "in", images=20, bad=(2, 11, 19))
    with pytest.raises(PackError) as caught:
        pack_small(annotated, tmp_path / "out", max_bad=0.14)
    line = str(caught.value)
    assert line.startswith(f"{tmp_path / 'out' / 'rejected.csv'}: 3 of 20 images (15.0%) cannot")
    assert "(3 truncated), more than `max_bad=0.14` allows" in line
    assert [row["path"] for row in rows(tmp_path / "out")] == ["002.jpg", "011.jpg", "019.jpg"]
    assert not (tmp_path / "out" / "dataset.json").exists()
    inode = (tmp_path / "out" / "val-000000.tar").stat().st_ino
    report = pack_small(annotated, tmp_path / "out", max_bad=0.15)
    assert (tmp_path / "out" / "val-000000.tar").stat().st_ino == inode
    assert [bad.path for bad in report.rejected] == ["002.jpg", "011.jpg", "019.jpg"]
    assert report.manifest.rejected == 3
    assert verify(tmp_path / "out", decode=True) == []


def test_what_the_source_rejects_counts_and_is_listed(tmp_path: Path) -> None:
    """What a source rejects stands in rejected.csv and counts against --max-bad."""
    names = ("z.jpg", 'a,"b"\n.jpg', os.fsdecode(b"\xff.jpg"), "\ud800.jpg")
    listed = tuple(Rejection(name, Fault(Reason.MISSING, f"no {name}")) for name in names)
    whole = small_set(tmp_path / "in", images=12, bad=(1,))
    annotated = AnnotatedSet(whole.root, whole.samples, rejected=listed)
    with pytest.raises(PackError, match=r"4 of 16 images \(25.0%\).*4 missing"):
        pack_small(annotated, tmp_path / "out", max_bad=0.24)
    assert not list((tmp_path / "out").glob("*.tar"))  # it was certain before anything was read
    report = pack_small(annotated, tmp_path / "out", max_bad=0.5)
    assert report.manifest.rejected == len(report.rejected) == 5
    assert [(row["path"], row["reason"]) for row in rows(tmp_path / "out")] == [
        ("001.jpg", "truncated"),
        ("\\ud800.jpg", "missing"),
        ('a,"b"\n.jpg', "missing"),
        ("z.jpg", "missing"),
        (os.fsdecode(b"\xff.jpg"), "missing"),
    ]


def test_a_split_without_a_good_image_is_an_error(tmp_path: Path) -> None:
    """A split whose images are all bad, or that has none, is an error that names it."""
    annotated = small_set(tmp_path / "in", images=6, bad=(4, 5))
    with pytest.raises(PackError, match="split 'val': none of its 2 images can be used"):
        pack_small(annotated, tmp_path / "out", max_bad=1)
    assert len(rows(tmp_path / "out")) == 2
    with pytest.raises(PackError, match="split 'test' has no images"):
        pack_small(annotated, tmp_path / "other", splits={"test": ()})
    with pytest.raises(PackError, match="split 'a b': use letters"):
        pack_small(annotated, tmp_path / "other", splits={"a b": annotated.samples})
    assert not (tmp_path / "other").exists()


def test_a_label_that_fits_no_class_is_found_before_anything_is_written(tmp_path: Path) -> None:
    """An unknown class is an error that names image and class, and no folder is made."""
    annotated = small_set(tmp_path / "in")
    with pytest.raises(LabelError, match=r"000\.jpg.*'person'"):
        pack_small(annotated, tmp_path / "out", classes=("cat", "dog"))
    assert not (tmp_path / "out").exists()


def test_an_image_that_vanishes_is_rejected(tmp_path: Path) -> None:
    """An image that is gone when it is to be read costs its own row."""
    annotated = small_set(tmp_path / "in")
    (tmp_path / "in" / "003.jpg").unlink()
    report = pack_small(annotated, tmp_path / "out", max_bad=0.1)
    assert [(bad.path, bad.fault.reason) for bad in report.rejected] == [
        ("003.jpg", Reason.VANISHED)
    ]


def test_real_photographs_are_packed_whole(voc_data: Path, tmp_path: Path) -> None:
    """A hundred photographs pass, come back as they are, and are proven whole with --decode."""
    root = voc_data / "voc2012-100" / "JPEGImages"
    samples = tuple(Sample(path.name, ("cat",)) for path in sorted(root.iterdir()))
    annotated = AnnotatedSet(root, samples)
    splits = {"train": samples}
    pack_small(annotated, tmp_path / "out", splits=splits, shard_samples=30)
    found = load_split(tmp_path / "out", "train").images
    assert [ref.name for ref in found] == [sample.path for sample in samples]
    assert all(read_bytes(ref, max_pixels=10**8) == (root / ref.name).read_bytes() for ref in found)
    assert verify(tmp_path / "out", decode=True, workers=2) == []


def test_odd_files_cost_their_own_row(odd: Path, tmp_path: Path) -> None:
    """Among unusual files the bad ones are left out with a reason, and the rest is whole."""
    paths = sorted(path for path in odd.rglob("*.*") if path.suffix != ".md")
    samples = tuple(Sample(str(path.relative_to(odd)), ("cat",)) for path in paths)
    annotated = AnnotatedSet(odd, samples)
    changes = {"splits": {"train": samples}, "max_bad": 0.5, "max_pixels": 10**8}
    report = pack_small(annotated, tmp_path / "out", **changes)
    reasons = {bad.path: bad.fault.reason for bad in report.rejected}
    assert reasons.pop("pillow/truncated_jpeg.jpg") is Reason.TRUNCATED
    assert reasons.pop("pillow/broken_data_stream.png") is Reason.CORRUPT
    assert reasons.pop("pillow/decompression_bomb.gif") is Reason.TOO_LARGE
    assert reasons.pop("libjpeg-turbo/monkey12.jpg") is Reason.UNSUPPORTED
    assert set(reasons) <= {"pillow/broken.png", "pillow/hopper_bad_exif.jpg"}
    assert verify(tmp_path / "out", decode=True) == []


def test_classes_and_labels_reach_the_shards(tmp_path: Path) -> None:
    """The labels of a packed set are those of the samples: 1, 0 and -1 in column order."""
    annotated = small_set(tmp_path / "in")
    pack_small(annotated, tmp_path / "out")
    found = load_split(tmp_path / "out", "train,val")
    expected = [
        [1 if name in s.present else -1 if name in s.difficult else 0 for name in CLASSES]
        for s in annotated.samples
    ]
    assert found.labels.tolist() == expected


def test_progress_ends_with_everything(tmp_path: Path) -> None:
    """Progress never goes back, counts the bad ones, and ends with all images done."""
    seen: list[tuple[int, int, int]] = []
    annotated = small_set(tmp_path / "in", images=60, bad=(2, 50))

    def note(done: int, total: int, rejected: int) -> None:
        seen.append((done, total, rejected))

    pack_small(annotated, tmp_path / "out", max_bad=1, progress=note)
    assert seen == sorted(seen)
    assert seen[0] == (0, 60, 0)
    assert seen[-1] == (60, 60, 2)
    assert len(seen) >= 5
