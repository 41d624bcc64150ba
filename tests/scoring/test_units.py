from __future__ import annotations

import gzip
import io
import os
import sys
import tarfile
from types import SimpleNamespace

import pytest
from score_doubles import make_files

from shards.errors import Reason
from shards.packing.pack import pack
from shards.sample import AnnotatedSet, ImageRef, Sample
from shards.synthetic.voc import draw_voc
from vocscore.errors import ScoreError
from vocscore.scoring.inputs.sources import read_source, source_name

JPEG = b"\xff\xd8\xff rest"


def names_by_unit(inputs, unit_size=1000):
    return [[ref.name for ref in unit.read().images] for unit in inputs.units(unit_size)]


def make_tar(file, members):
    file.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(file, "w") as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return file


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    """A packed set: 7 images as 'train' in shards of 3, 2 as 'val'."""
    root = draw_voc(tmp_path_factory.mktemp("voc") / "v", images=9, seed=2, lists=False)
    paths = sorted(str(p.relative_to(root)) for p in root.glob("JPEGImages/*"))
    samples = tuple(Sample(path, ("cat",)) for path in paths)
    out = tmp_path_factory.mktemp("packed") / "set"
    pack(
        AnnotatedSet(root, samples),
        {"train": samples[:7], "val": samples[7:]},
        out,
        classes=("cat", "dog"),
        shard_samples=3,
        verify=True,
        max_bad=0.0,
        max_pixels=10**7,
        resize=None,
        quality=95,
        workers=1,
        overwrite=False,
        settings={},
        progress=None,
    )
    return out, paths


@pytest.mark.parametrize(
    ("files", "sizes"), [(1, [1]), (3, [3]), (4, [4]), (5, [4, 1]), (8, [4, 4]), (9, [4, 4, 1])]
)
def test_units_cut_a_folder_into_runs_in_sorted_order(tmp_path, files, sizes):
    """A folder is cut into units of 4 files; the last has the rest, and none is empty."""
    names = [f"{i:02d}.jpg" for i in range(files)]
    inputs = read_source(make_files(tmp_path, names))
    units = names_by_unit(inputs, 4)
    assert [len(unit) for unit in units] == sizes
    assert [name for unit in units for name in unit] == names
    assert [unit.number for unit in inputs.units(4)] == list(range(len(sizes)))
    assert inputs.images == inputs.weight == files


def test_a_file_unit_leads_to_the_files(tmp_path):
    """Names are relative to the folder; the files are found through it."""
    inputs = read_source(make_files(tmp_path, ["a/b.jpg"]))
    (unit,) = inputs.units(10)
    assert unit.read().images == [ImageRef("a/b.jpg", str(tmp_path / "a/b.jpg"))]


def test_an_empty_folder_is_an_error_that_says_what_was_looked_for(tmp_path):
    """A folder without images names itself, the suffixes, and what else is in it by kinds."""
    make_files(tmp_path, ["a.txt", "b/c.xml", ".d.jpg"])
    said = r"no image .*\.jpg .*\.tar.* Files skipped: 3 \(\.txt 1, \.xml 1, hidden \.jpg 1\)"
    with pytest.raises(ScoreError, match=said) as error:
        read_source(tmp_path)
    assert str(tmp_path) in str(error.value)


def test_a_source_that_is_not_there_is_an_error(tmp_path):
    """A missing source is named, with what a source may be."""
    with pytest.raises(ScoreError, match=r"none.jpg: no such file.*A source is"):
        read_source(tmp_path / "none.jpg")


def test_one_image_is_a_source_whatever_its_name(tmp_path):
    """A file that is an image by its first bytes is one, named by its base name."""
    make_files(tmp_path, ["x/photo"])
    (tmp_path / "x/photo").write_bytes(JPEG)
    inputs = read_source(tmp_path / "x/photo")
    assert names_by_unit(inputs) == [["photo"]]


def test_a_list_keeps_its_order_and_its_paths_as_written(tmp_path):
    """A list gives rows in its order; relative paths start at the list, absolute ones do not."""
    listed = tmp_path / "lists" / "a.TXT"
    listed.parent.mkdir()
    listed.write_bytes(b"\xef\xbb\xbfz.jpg\r\n\n../b c.jpg\n/abs/x.png\ncaf\xe9.jpg\nz.jpg")
    inputs = read_source(listed)
    (unit,) = inputs.units(100)
    refs = unit.read().images
    cafe = os.fsdecode(b"caf\xe9.jpg")
    assert [ref.name for ref in refs] == ["z.jpg", "../b c.jpg", "/abs/x.png", cafe, "z.jpg"]
    assert refs[1].file == f"{listed.parent}/../b c.jpg"
    assert refs[2].file == "/abs/x.png"


def test_a_list_comes_from_standard_input(tmp_path, monkeypatch):
    """'-' reads a list whose relative paths start at the current folder."""
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b"b.jpg\na.jpg\n")))
    (unit,) = read_source(type(tmp_path)("-")).units(100)
    assert [ref.file for ref in unit.read().images] == ["b.jpg", "a.jpg"]


@pytest.mark.parametrize(
    ("data", "said"), [(b"", "contains no path"), (b"\n\r\n", "no path"), (b"a\0b.jpg\0", "line 1")]
)
def test_a_list_that_is_none_is_an_error(tmp_path, data, said):
    """An empty list, and one that 'find -print0' wrote, are refused with the cure."""
    listed = tmp_path / "a.txt"
    listed.write_bytes(data)
    with pytest.raises(ScoreError, match=said):
        read_source(listed)


def test_packed_shards_give_original_paths_in_the_order_of_the_splits(packed):
    """Packed shards: a unit a shard, splits in order, rows named as before packing."""
    folder, paths = packed
    inputs = read_source(folder)
    assert names_by_unit(inputs) == [paths[:3], paths[3:6], paths[6:7], paths[7:9]]
    assert inputs.images == 9
    assert inputs.weight == sum(file.stat().st_size for file in folder.glob("*.tar"))


def test_one_shard_of_a_packed_set_is_a_source(packed):
    """A single shard with its manifest beside it gives original paths, too."""
    folder, paths = packed
    assert names_by_unit(read_source(folder / "val-000000.tar")) == [paths[7:9]]


def test_a_packed_set_without_one_of_its_shards_is_refused(packed, tmp_path):
    """A shard that the manifest names and that is missing is an error before anything is scored."""
    folder, _ = packed
    copy = tmp_path / "copy"
    copy.mkdir()
    for file in folder.iterdir():
        if file.is_file() and file.name != "train-000001.tar":
            (copy / file.name).write_bytes(file.read_bytes())
    with pytest.raises(ScoreError, match=r"train-000001\.tar.*missing"):
        read_source(copy)


def test_foreign_tars_are_named_by_tar_and_member(tmp_path):
    """Images of a foreign tar, at any depth, are named by the tar's path and the member."""
    members = {"s1.jpg": JPEG, "s1.cls": b"3", "s1.right.png": JPEG, "sub/s2.JPG": JPEG}
    make_tar(tmp_path / "t/b.tar", members)
    make_tar(tmp_path / "a.tar", {"x.jpg": JPEG})
    inputs = read_source(tmp_path)
    assert inputs.images is None
    assert names_by_unit(inputs) == [
        ["a.tar/x.jpg"],
        ["t/b.tar/s1.jpg", "t/b.tar/s1.right.png", "t/b.tar/sub/s2.JPG"],
    ]


def test_refs_of_a_tar_point_at_the_bytes(tmp_path):
    """An image in a tar is a stretch of it."""
    tar = make_tar(tmp_path / "a.tar", {"k.json": b"{}", "k.jpg": JPEG})
    (unit,) = read_source(tar).units(1)
    (ref,) = unit.read().images
    assert tar.read_bytes()[ref.offset : ref.offset + ref.size] == JPEG


def test_a_half_written_tar_gives_what_is_readable_and_a_problem(tmp_path):
    """A tar that ends early gives the images before, and one line on the damage."""
    tar = make_tar(tmp_path / "a.tar", {f"{i}.jpg": JPEG * 200 for i in range(3)})
    tar.write_bytes(tar.read_bytes()[:5000])  # three members of 2,560 bytes and a header each
    (unit,) = read_source(tmp_path).units(1)
    contents = unit.read()
    assert [ref.name for ref in contents.images][:1] == ["a.tar/0.jpg"]
    assert len(contents.images) < 3
    assert len(contents.problems) == 1
    assert f"The {len(contents.images)} images before it" in contents.problems[0]
    assert contents.refusal is None


def test_a_damaged_shard_says_how_many_images_are_missing(packed, tmp_path):
    """Where a manifest says how many images a shard has, the damage line says it, too."""
    folder, _ = packed
    copy = tmp_path / "copy"
    copy.mkdir()
    for file in folder.iterdir():
        if file.is_file():
            (copy / file.name).write_bytes(file.read_bytes())
    shard = copy / "train-000000.tar"
    shard.write_bytes(shard.read_bytes()[: shard.stat().st_size // 2])
    contents = next(iter(read_source(copy).units(1))).read()
    assert 0 < len(contents.images) < 3
    assert f"The {len(contents.images)} of 3 images" in contents.problems[0]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (None, Reason.VANISHED),
        (b"no tar at all" * 100, Reason.CORRUPT),
        (b"\x1f\x8b" * 600, Reason.UNSUPPORTED),
    ],
)
def test_a_tar_that_cannot_be_listed_is_a_row_of_its_own(tmp_path, data, reason):
    """A tar that went, is none, or is compressed is one refused row under the tar's name."""
    tar = make_tar(tmp_path / "a/b.tar", {"x.jpg": JPEG})
    (unit,) = read_source(tmp_path).units(1)
    tar.unlink()
    if data is not None:
        tar.write_bytes(data)
    contents = unit.read()
    assert [ref.name for ref in contents.images] == ["a/b.tar"]
    assert contents.refusal.reason == reason


@pytest.mark.parametrize("name", ["a.tar.gz", "a.tgz", "a.tar"])
def test_a_compressed_tar_is_a_row_that_says_how_to_unpack_it(tmp_path, name):
    """A tar that gzip has packed is not passed over among others: a row with reason and cure."""
    plain = make_tar(tmp_path / "in" / "z.tar", {"x.jpg": JPEG})
    (tmp_path / "in" / name).write_bytes(gzip.compress(plain.read_bytes()))
    packed, whole = read_source(tmp_path / "in").units(1)
    contents = packed.read()
    assert [ref.name for ref in contents.images] == [name]
    assert contents.refusal.reason == Reason.UNSUPPORTED
    assert "Run gunzip" in contents.refusal.detail
    assert [ref.name for ref in whole.read().images] == ["z.tar/x.jpg"]


def test_an_unlabeled_tar_and_one_with_several_images_a_sample(tmp_path):
    """Every image of a sample is a row; none needs a label, a description or a suffix."""
    png = b"\x89PNG\r\n\x1a\n rest"
    members = {"k.left.jpg": JPEG, "k.right.png": png, "k.depth": png, "k.txt": b"hi", "k2": JPEG}
    make_tar(tmp_path / "a.tar", members)
    (names,) = names_by_unit(read_source(tmp_path))
    assert names == ["a.tar/k.left.jpg", "a.tar/k.right.png", "a.tar/k.depth", "a.tar/k2"]


def test_an_empty_tar_is_a_problem(tmp_path):
    """A whole tar without images has no row, and a line that says so."""
    make_tar(tmp_path / "a.tar", {"x.txt": b"hello"})
    (unit,) = read_source(tmp_path).units(1)
    contents = unit.read()
    assert not contents.images
    assert contents.problems == ("a.tar: no image in it.",)


def test_tars_beside_images_are_reported(tmp_path):
    """Where a folder has both, images are scored and the tars stand among the problems."""
    make_tar(tmp_path / "a.tar", {"x.jpg": JPEG})
    inputs = read_source(make_files(tmp_path, ["p.jpg"]))
    assert names_by_unit(inputs) == [["p.jpg"]]
    assert "a.tar" in inputs.problems[0]


def test_a_strangers_dataset_json_does_not_hide_images(tmp_path):
    """A folder of images with someone else's dataset.json is a folder of images."""
    make_files(tmp_path, ["p.jpg"])
    (tmp_path / "dataset.json").write_text('{"title": "mine"}')
    assert names_by_unit(read_source(tmp_path)) == [["p.jpg"]]


def test_a_digest_tells_listings_apart(tmp_path):
    """Digests are equal for equal listings only: names, their order, a tar's size and time."""
    first = read_source(make_files(tmp_path / "a", ["x.jpg", "y.jpg"])).digest()
    assert read_source(make_files(tmp_path / "b", ["x.jpg", "y.jpg"])).digest() == first
    assert read_source(make_files(tmp_path / "b", ["z.jpg"])).digest() != first
    tar = make_tar(tmp_path / "t/a.tar", {"x.jpg": JPEG})
    os.utime(tar, ns=(10**18, 10**18))
    old = read_source(tar).digest()
    assert read_source(tar).digest() == old
    os.utime(tar, ns=(10**18, 10**18 + 1))
    assert read_source(tar).digest() != old


def test_sources_with_equal_names_are_told_apart_by_their_folder(tmp_path):
    """Two folders never have the same source name."""
    assert source_name(tmp_path / "a") != source_name(tmp_path / "b")
