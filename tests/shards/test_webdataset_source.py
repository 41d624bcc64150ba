"""Labels from WebDataset tars, written by webdataset's own TarWriter."""

from __future__ import annotations

import io
import tarfile
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from small_sets import image_bytes
from webdataset import TarWriter

from shards.classes import VOC_CLASSES
from shards.errors import DamageError, Error, Reason, SourceError
from shards.images import image_file
from shards.sample import Sample
from shards.sources.folders import files_below
from shards.sources.webdataset.choice import label_bytes
from shards.sources.webdataset.read import read_webdataset
from shards.sources.webdataset.samples import TarSample
from shards.sources.webdataset.values import BadValueError, parse

if TYPE_CHECKING:
    from pathlib import Path

    from shards.sample import AnnotatedSet


def write(file: Path, *samples: dict[str, Any]) -> None:
    """Write a tar of samples: member extension -> value, encoded by webdataset."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with TarWriter(str(file), mtime=0) as tar:
        for number, sample in enumerate(samples):
            tar.write({"__key__": f"s{number:07d}", **sample})


def image(seed: int = 0) -> bytes:
    """A small JPEG; webdataset writes bytes as they are."""
    return image_bytes(seed)


def read(root: Path, *columns: str) -> AnnotatedSet:
    """Read the tars below a folder."""
    return read_webdataset(root, files_below(root), columns=columns)


def labels(found: AnnotatedSet) -> dict[str, tuple[str, ...]]:
    """The classes that are present, by path."""
    return {sample.path: sample.present for sample in found.samples}


def names(root: Path, *classes: str) -> None:
    """Write classnames.txt."""
    root.mkdir(parents=True, exist_ok=True)
    (root / "classnames.txt").write_text("\n".join(classes))


def multi_hot(*classes: int, of: int = 3, dtype: str = "<f4") -> np.ndarray:
    """The label of a sample as webdataset_builder.py writes it."""
    vector = np.zeros(of, dtype)
    vector[list(classes)] = 1
    return vector


def test_the_published_layout_of_voc(tmp_path: Path) -> None:
    """As wds_voc2007_multilabel: SPLIT/N.tar, nshards.txt, float32 vectors, labels first."""
    names(tmp_path, *VOC_CLASSES)
    (tmp_path / "dataset_type.txt").write_text("multilabel")
    webp = image_bytes(1, "WEBP")
    write(tmp_path / "train/0.tar", {"npy": multi_hot(0, 14, of=20), "webp": webp})
    write(tmp_path / "train/1.tar", {"npy": multi_hot(of=20), "webp": webp})
    write(tmp_path / "test/0.tar", {"npy": multi_hot(19, of=20), "webp": webp})
    (tmp_path / "train/nshards.txt").write_text("2")
    (tmp_path / "test/nshards.txt").write_text("1")
    with tarfile.open(tmp_path / "train/0.tar") as tar:
        assert tar.getnames() == ["s0000000.npy", "s0000000.webp"]
    found = read(tmp_path)
    assert found.classes == VOC_CLASSES
    assert labels(found) == {
        "test/0.tar/s0000000.webp": ("tvmonitor",),
        "train/0.tar/s0000000.webp": ("aeroplane", "person"),
        "train/1.tar/s0000000.webp": (),
    }
    assert {name: len(paths) for name, paths in found.splits.items()} == {"train": 2, "test": 1}
    first, last = found.notes
    assert first == "3 tars: labels are in .npy, one number per class"
    assert "'difficult' count as present" in last


def test_the_store_reads_from_the_tar(tmp_path: Path) -> None:
    """Each image is the bytes that were written, in the order of tars and members."""
    names(tmp_path, "cat", "dog")
    for number in (2, 10):
        samples = [{"jpg": image(number + at), "cls": at} for at in range(2)]
        write(tmp_path / f"train-{number}.tar", *samples)
    found = read(tmp_path)
    store = found.store
    assert store is not None
    paths = sorted((sample.path for sample in found.samples), key=store.position)
    assert [path.partition("/")[0] for path in paths] == ["train-2.tar"] * 2 + ["train-10.tar"] * 2
    for path, seed in zip(paths, (2, 3, 10, 11), strict=True):
        data = image_file.read_bytes(store.ref(path), max_pixels=1000)
        assert data == image(seed)
        assert store.stamp(path)[0] == len(data)


@pytest.mark.parametrize(
    ("label", "present"),
    [
        ({"cls": 1}, ("dog",)),
        ({"cls": "2"}, ("yak",)),
        ({"cls": "dog"}, ("dog",)),
        ({"cls": "dog;cat\nyak"}, ("cat", "dog", "yak")),
        ({"cls": " \n"}, ()),
        ({"npy": np.int64(2)}, ("yak",)),
        ({"npy": np.array([2, 0])}, ("cat", "yak")),
        ({"npy": multi_hot(0, 2, dtype="int8")}, ("cat", "yak")),
        ({"npy": multi_hot(0, 2, dtype="bool")}, ("cat", "yak")),
        ({"npy": multi_hot(1, dtype="float64")[None]}, ("dog",)),
        ({"npy": np.array(["cat", "yak"])}, ("cat", "yak")),
        ({"labels.npy": multi_hot(0)}, ("cat",)),
        ({"json": 1}, ("dog",)),
        ({"json": ["cat"]}, ("cat",)),
        ({"json": []}, ()),
        ({"json": [0, 0, 1]}, ("yak",)),
        ({"json": [0, 1]}, ("cat", "dog")),
        ({"json": {"labels": ["cat", "dog"], "url": "x"}}, ("cat", "dog")),
        ({"json": {"class": 2, "width": 3}}, ("yak",)),
        ({"json": {"target": {"cat": 1, "dog": 0, "yak": True}}}, ("cat", "yak")),
    ],
)
def test_forms_of_labels(tmp_path: Path, label: dict[str, Any], present: tuple[str, ...]) -> None:
    """An index, several, a number per class, names; as text, .npy or JSON."""
    names(tmp_path, "cat", "dog", "yak")
    write(tmp_path / "0.tar", {"jpg": image(), **label})
    assert labels(read(tmp_path)) == {"0.tar/s0000000.jpg": present}


def test_two_classes_are_told_apart(tmp_path: Path) -> None:
    """[0, 1] of two classes is a vector if all have two numbers, else a list of indices."""
    names(tmp_path, "cat", "dog")
    write(tmp_path / "0.tar", *({"jpg": image(), "json": one} for one in ([0, 1], [1, 0])))
    assert [s.present for s in read(tmp_path).samples] == [("dog",), ("cat",)]
    write(tmp_path / "0.tar", *({"jpg": image(), "json": one} for one in ([0, 1], [0])))
    assert [s.present for s in read(tmp_path).samples] == [("cat", "dog"), ("cat",)]


@pytest.mark.parametrize("odd", [0.5, np.nan])
def test_an_odd_number_changes_no_other_sample(tmp_path: Path, odd: float) -> None:
    """The vectors of two classes stay vectors; the sample with the number is rejected."""
    names(tmp_path, "cat", "dog")
    vectors = ([1, odd], [0, 1], [1, 0])
    write(tmp_path / "0.tar", *({"jpg": image(), "npy": np.array(one)} for one in vectors))
    found = read(tmp_path)
    assert [s.present for s in found.samples] == [("dog",), ("cat",)]
    assert f"{odd:g} where 1, 0 or -1 must be" in found.rejected[0].fault.detail


def test_minus_one_is_difficult(tmp_path: Path) -> None:
    """-1 in a vector is a class with only 'difficult' instances, as in tables; a note says so."""
    names(tmp_path, "cat", "dog", "yak")
    write(tmp_path / "0.tar", {"jpg": image(), "npy": np.array([1, -1, 0], "int8")})
    found = read(tmp_path)
    assert found.samples == (Sample("0.tar/s0000000.jpg", ("cat",), ("dog",)),)
    assert found.notes[-1] == "1 label of -1: only 'difficult' instances"


def test_names_need_no_class_file(tmp_path: Path) -> None:
    """Without classnames.txt the classes are those that occur; indices are refused."""
    write(tmp_path / "0.tar", {"jpg": image(), "cls": "cat"})
    assert read(tmp_path).classes is None
    write(tmp_path / "0.tar", {"jpg": image(), "cls": 0})
    with pytest.raises(SourceError, match=r"are numbers, and no classnames\.txt says"):
        read(tmp_path)


def test_a_field_is_chosen(tmp_path: Path) -> None:
    """Several fields of labels are named; a column chooses; several columns are 1 and 0."""
    value = {"label": "cat", "tags": ["x", "y"], "url": "u", "wet": 1, "dry": 0}
    write(tmp_path / "0.tar", {"jpg": image(), "json": value})
    with pytest.raises(SourceError, match=r"several fields of labels \(label, tags\)"):
        read(tmp_path)
    assert labels(read(tmp_path, "tags")) == {"0.tar/s0000000.jpg": ("x", "y")}
    assert labels(read(tmp_path, "wet", "dry")) == {"0.tar/s0000000.jpg": ("wet",)}
    (bad,) = read(tmp_path, "gone").rejected
    assert "no field 'gone'" in bad.fault.detail


def test_a_member_is_chosen(tmp_path: Path) -> None:
    """A class beside metadata in JSON is the label; two arrays are a question."""
    names(tmp_path, "cat", "dog", "yak")
    write(tmp_path / "0.tar", {"jpg": image(), "cls": 1, "json": {"label": "x"}, "txt": "caption"})
    found = read(tmp_path)
    assert labels(found) == {"0.tar/s0000000.jpg": ("dog",)}
    assert found.notes == ("1 tar: labels are in .cls", "members ignored: .json 1, .txt 1")
    write(tmp_path / "0.tar", {"jpg": image(), "y.npy": multi_hot(0), "z.npy": multi_hot(1)})
    with pytest.raises(
        SourceError, match=r"may be in \.y\.npy, \.z\.npy.*`label_column=\['y\.npy'\]`"
    ):
        read(tmp_path)
    assert labels(read(tmp_path, "z.npy")) == {"0.tar/s0000000.jpg": ("dog",)}


def test_a_tar_that_is_gone_is_named(tmp_path: Path) -> None:
    """If a tar vanishes after it was listed, the error names it, not the one before."""
    files = [tmp_path / "0.tar", tmp_path / "1.tar"]
    write(files[0], {"jpg": image(), "cls": 1})
    samples = [TarSample(f"{n}.tar/a.jpg", n, 0, 0, {"cls": (0, 1)}) for n in range(2)]
    with pytest.raises(SourceError, match=r"1\.tar: cannot be read: No such file"):
        list(label_bytes(files, samples, "cls"))


def test_what_cannot_be_used_is_rejected(tmp_path: Path) -> None:
    """Samples without image, without label, with two images or a bad label are listed."""
    names(tmp_path, "cat", "dog", "yak")
    write(
        tmp_path / "0.tar",
        {"jpg": image(), "npy": multi_hot(0)},
        {"npy": multi_hot(1)},
        {"jpg": image()},
        {"jpg": image(), "png": image_bytes(0, "PNG"), "npy": multi_hot(0)},
        {"jpg": image(), "npy": np.array([0, 0.5, 1])},
        {"jpg": image(), "npy": multi_hot(0, of=4)},
        {"jpg": image(), "mask.png": image_bytes(0, "PNG"), "npy": multi_hot(2)},
    )
    found = read(tmp_path)
    assert labels(found) == {"0.tar/s0000000.jpg": ("cat",), "0.tar/s0000006.jpg": ("yak",)}
    reasons = [(bad.path[-9:], bad.fault.reason) for bad in found.rejected]
    assert reasons == [
        ("00001.npy", Reason.MISSING),
        ("00002.jpg", Reason.NOT_ANNOTATED),
        ("00003.jpg", Reason.BAD_ANNOTATION),
        ("00004.jpg", Reason.BAD_ANNOTATION),
        ("00005.jpg", Reason.BAD_ANNOTATION),
    ]


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("train/0.tar", "train"),
        ("data/Validation/0.tar", "val"),
        ("imagenet-train-000003.tar", "train"),
        ("pets_val_00.tar", "val"),
        ("00000.tar", None),
        ("retrain-1.tar", None),
        ("train-or-test-1.tar", None),
    ],
)
def test_splits(tmp_path: Path, name: str, split: str | None) -> None:
    """The split is the name of a folder, else a word in the name of the tar."""
    write(tmp_path / name, {"jpg": image(), "cls": "cat"})
    assert list(read(tmp_path).splits) == [split][: split is not None]


def npy(header: str, data: bytes = b"") -> bytes:
    """A .npy file of version 1.0 with any header."""
    text = header.encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + data


HUGE = "{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,), }"
PICKLED = "{'descr': '|O', 'fortran_order': False, 'shape': (1,), }"


@pytest.mark.parametrize(
    ("kind", "data", "why"),
    [
        ("npy", b"", "not a .npy file"),
        ("npy", npy(HUGE), "truncated"),
        ("npy", npy(PICKLED, b"cos\nsystem\n(S'touch ran'\ntR."), "an array of object"),
        ("npy", npy("__import__('os')"), "not a .npy file: malformed node or string"),
        ("npy", npy("{'descr': '<U0', 'fortran_order': False, 'shape': (1,), }"), "truncated"),
        ("npy", npy("{'descr': '<f8', 'fortran_order': False, 'shape': (-1,), }"), "truncated"),
        ("npy", b"\x93NUMPY\x09\x00", "version (9, 0)"),
        ("json", b"{", "not JSON"),
        ("json", b"[" * 100_000, "not JSON"),
        ("json", b"null", "neither an index nor a name"),
        ("json", b"[[1]]", "neither an index nor a name"),
        ("json", b'{"cat": 2}', "values are not all 0 or 1"),
        ("json", b"1" + b"0" * 400, "too large"),
        ("cls", b"\xff", "not text"),
        ("cls", b"x" * ((16 << 20) + 1), "larger than 16 MiB"),
    ],
)
def test_bad_values(kind: str, data: bytes, why: str) -> None:
    """Nothing is unpickled or evaluated, and no size is believed; each has its reason."""
    with pytest.raises(BadValueError) as caught:
        parse(data, kind)
    assert why in str(caught.value)
    assert "\n" not in str(caught.value)
    assert " at 0x" not in str(caught.value)


def test_npy_is_read_as_numpy_reads_it() -> None:
    """Any array of numbers that NumPy saves, in any byte order and version."""
    for dtype in ("<f4", ">f8", "<i2", ">u4", "|u1", "|b1", "<f2"):
        file = io.BytesIO()
        vector = np.array([1, 0, 1], dtype)
        np.save(file, vector)
        assert parse(file.getvalue(), "npy").numbers == tuple(vector.astype(float))
    file = io.BytesIO()
    np.lib.format.write_array(file, np.array([1, 0]), version=(2, 0))
    assert parse(file.getvalue(), "npy").numbers == (1, 0)


def test_bad_sets(tmp_path: Path) -> None:
    """Each is one line that says what is wrong."""

    def refuse(why: str, kind: type[Error] = SourceError) -> None:
        with pytest.raises(kind) as caught:
            read(tmp_path)
        assert why in str(caught.value)
        assert "\n" not in str(caught.value)

    refuse("no .tar in it")
    tar = tmp_path / "0.tar"
    write(tar, {"jpg": image(), "txt": "a caption"})
    refuse("no sample has labels (a member .cls, .npy or .json; found: .txt)")
    names(tmp_path, "cat", "dog")
    write(tar, {"jpg": image(), "cls": 2})
    refuse("0.tar/s0000000.jpg: .cls: class 2, but classnames.txt names 0 to 1")
    write(tar, {"jpg": image(), "cls": 1})
    (tmp_path / "nshards.txt").write_text("2")
    refuse("says 2 tars, but there are 1")
    (tmp_path / "nshards.txt").write_text("two")
    refuse("'two' is not a number of tars")
    (tmp_path / "nshards.txt").unlink()
    (tmp_path / "test").mkdir()
    (tmp_path / "test/nshards.txt").write_text("1")
    refuse("test/nshards.txt: says 1 tars, but there are 0")
    (tmp_path / "test/nshards.txt").unlink()
    (tmp_path / "classnames.txt").write_text("cat\n\ndog\n")
    refuse("line 2: blank. Name class 1")
    (tmp_path / "classnames.txt").write_text("cat\ncat\n")
    refuse("'cat' on lines 1 and 2")
    names(tmp_path, "cat", "dog")
    whole = tar.read_bytes()
    tar.write_bytes(whole[:1500])
    refuse(f"{tar}: truncated", DamageError)
    tar.write_bytes(b"\x1f\x8b" + whole)
    refuse("0.tar: compressed with gzip", DamageError)
    with tarfile.open(tar, "w") as twice:
        for _ in range(2):
            for name in ("a.jpg", "b.cls"):
                twice.addfile(tarfile.TarInfo(name))
    refuse("two members a.jpg")
    with tarfile.open(tar, "w") as twice:
        for name in ("a.cls", "a.cls", "a.jpg"):
            twice.addfile(tarfile.TarInfo(name))
    refuse("two members a.cls")
    write(tar, *({"jpg": image(), "npy": multi_hot(n)} for n in range(3)))
    refuse("are 3 numbers of 1 and 0, but classnames.txt names 2 classes")
