"""Hugging Face sets: image folders with metadata, and Parquet with the images inside.

The Parquet files are written by pyarrow with the schema that `datasets` documents:
https://huggingface.co/docs/datasets/about_dataset_features
"""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from shards.errors import Reason, SourceError
from shards.sources.hugging_face import store as store_module
from shards.sources.registry import SOURCES
from shards.sources.source import Request, Tree

if TYPE_CHECKING:
    from pathlib import Path

    from shards.sample import AnnotatedSet

NAMES = ["cat", "dog", "emu"]
LABEL = {"names": NAMES, "_type": "ClassLabel"}
IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def read(root: Path, *columns: str, separator: str | None = None) -> AnnotatedSet:
    return SOURCES["hf"].read(Tree(root), Request(columns=columns, separator=separator))


def labels(found: AnnotatedSet) -> dict[str, tuple[str, ...]]:
    return {sample.path: sample.present for sample in found.samples}


def put(root: Path, files: dict[str, str], *images: str) -> Path:
    for name, text in {**dict.fromkeys(images, ""), **files}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    return root


def lines(*rows: dict[str, Any]) -> str:
    return "".join(f"{json.dumps(row)}\n" for row in rows)


def parquet(
    file: Path,
    values: list[Any],
    kind: Any,
    feature: object,
    *,
    paths: list[str | None] | None = None,
    name: str = "label",
    group: int = 3,
) -> None:
    """Images whose bytes are their numbers, and one column of labels."""
    file.parent.mkdir(parents=True, exist_ok=True)
    paths = paths or [f"{file.stem}_{row}.png" for row in range(len(values))]
    images = [
        {"bytes": f"{file.name} {row}".encode(), "path": path} for row, path in enumerate(paths)
    ]
    features = {"image": {"_type": "Image"}, name: feature}
    schema = pa.schema(
        [("image", IMAGE), (name, kind)],
        metadata={"huggingface": json.dumps({"info": {"features": features}})},
    )
    table = pa.table({"image": pa.array(images, IMAGE), name: pa.array(values, kind)}, schema)
    pq.write_table(table, file, row_group_size=group)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("metadata.csv", 'file_name,labels\na.png,cat;dog\nb.png,\nc.png,"[""emu""]"\n'),
        (
            "metadata.jsonl",
            lines(
                {"file_name": "a.png", "labels": ["dog", "cat"]},
                {"file_name": "b.png", "labels": []},
                {"file_name": "c.png", "labels": ["emu"]},
            ),
        ),
        (
            "metadata.csv",
            "file_name,width,cat,dog,emu\na.png,5,1,True,0\nb.png,6,0,0,0\nc.png,7,0,,1\n",
        ),
        (
            "metadata.jsonl",
            lines(
                {"file_name": "a.png", "cat": True, "dog": True, "emu": False, "size": 7},
                {"file_name": "b.png", "cat": False, "dog": False, "emu": False, "size": 8},
                {"file_name": "c.png", "cat": False, "dog": False, "emu": True, "size": 9},
            ),
        ),
    ],
)
def test_metadata_of_one_folder(tmp_path: Path, name: str, text: str) -> None:
    """Text, lists, and one column of truth values per class, as CSV and JSON lines."""
    found = read(put(tmp_path, {name: text}, "a.png", "b.png", "c.png"))
    assert labels(found) == {"a.png": ("cat", "dog"), "b.png": (), "c.png": ("emu",)}


def test_metadata_of_each_split(tmp_path: Path) -> None:
    """file_name is relative to its metadata; folders are the splits; what is left out is told."""
    files = {
        "train/metadata.csv": "file_name,label\n0.png,cat\nsub/1.png,dog\n0.png,cat\n",
        "test/metadata.csv": "file_name,label\n0.png,dog\ngone.png,cat\n",
    }
    found = read(put(tmp_path, files, "train/0.png", "train/sub/1.png", "test/0.png", "x.png"))
    assert labels(found) == {
        "test/0.png": ("dog",),
        "train/0.png": ("cat",),
        "train/sub/1.png": ("dog",),
    }
    assert found.splits == {"train": {"train/0.png", "train/sub/1.png"}, "test": {"test/0.png"}}
    assert [(b.path, b.fault.reason) for b in found.rejected] == [("test/gone.png", Reason.MISSING)]
    told = "; ".join(found.notes)
    assert "1 row with the labels of an earlier row" in told
    assert "1 image; first: x.png" in told


def test_metadata_as_parquet(tmp_path: Path) -> None:
    """With class names in the schema; null and -1 are images without a label."""
    put(tmp_path, {}, *(f"{n}.png" for n in range(4)))
    metadata = {"huggingface": json.dumps({"info": {"features": {"kind": LABEL}}})}
    schema = pa.schema([("file_name", pa.string()), ("kind", pa.int64())], metadata=metadata)
    rows = {"file_name": [f"{n}.png" for n in range(4)], "kind": [2, 0, None, -1]}
    pq.write_table(pa.table(rows, schema), tmp_path / "metadata.parquet")
    found = read(tmp_path)
    assert labels(found) == {"0.png": ("emu",), "1.png": ("cat",)}
    assert found.classes == tuple(NAMES)
    assert [bad.fault.reason for bad in found.rejected] == [Reason.NOT_ANNOTATED] * 2


@pytest.mark.parametrize(
    ("name", "values", "kind", "feature"),
    [
        ("label", [0, 1, 2, 0], pa.int64(), LABEL),
        ("y", [[0], [1], [2], [0]], pa.list_(pa.int64()), {"feature": LABEL, "_type": "Sequence"}),
        ("y", [[0], [1], [2], [0]], pa.list_(pa.int32()), {"feature": LABEL, "_type": "List"}),
        ("y", [[0], [1], [2], [0]], pa.list_(pa.int64()), [LABEL]),
        ("label", ["cat", "dog", "emu", "cat"], pa.string(), {"_type": "Value"}),
        (
            "objects",
            [{"category": [0, 0]}, {"category": [1]}, {"category": [2]}, {"category": [0]}],
            pa.struct([("category", pa.list_(pa.int64()))]),
            {"feature": {"category": LABEL}, "_type": "Sequence"},
        ),
        (
            "objects",
            [[{"category": n}, {"category": n}] for n in (0, 1, 2, 0)],
            pa.list_(pa.struct([("category", pa.int64())])),
            {"feature": {"category": LABEL}, "_type": "List"},
        ),
    ],
)
def test_features_of_parquet(
    tmp_path: Path, name: str, values: list[Any], kind: Any, feature: object
) -> None:
    """A ClassLabel, lists of them under every name they had, text, and those of objects."""
    parquet(tmp_path / "train-00000-of-00001.parquet", values, kind, feature, name=name)
    found = read(tmp_path)
    assert [sample.present for sample in found.samples] == [("cat",), ("dog",), ("emu",), ("cat",)]
    assert found.splits == {"train": {sample.path for sample in found.samples}}


def test_the_images_inside(tmp_path: Path) -> None:
    """Each path has its own bytes, in any order and from several threads; each group read once."""
    for split, part, of in (("train", 0, 2), ("train", 1, 2), ("validation", 0, 1)):
        file = tmp_path / f"data/{split}-{part:05d}-of-{of:05d}.parquet"
        parquet(file, [row % 3 for row in range(40)], pa.int64(), LABEL, group=25)
    found = read(tmp_path)
    assert {name: len(paths) for name, paths in found.splits.items()} == {"train": 80, "val": 40}
    store = found.store
    assert store is not None
    paths = sorted((s.path for s in found.samples), key=store.position)

    def wanted(path: str) -> bytes:
        stem, _, row = path.removesuffix(".png").rpartition("_")
        return f"{stem}.parquet {row}".encode()

    with ThreadPoolExecutor(4) as pool:
        assert [ref.data for ref in pool.map(store.ref, paths)] == list(map(wanted, paths))
    assert [store.ref(path).data for path in reversed(paths)] == list(map(wanted, reversed(paths)))


def test_a_row_group_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the order of the store, also if every other image is left out."""
    parquet(tmp_path / "a.parquet", [0] * 60, pa.int64(), LABEL, group=20)
    found = read(tmp_path)
    opened: list[Path] = []
    real = store_module.opened
    monkeypatch.setattr(store_module, "opened", lambda file: (opened.append(file), real(file))[1])
    assert found.store is not None
    for path in sorted((s.path for s in found.samples), key=found.store.position)[::2]:
        assert found.store.ref(path).fault is None
    assert len(opened) == 3


@pytest.mark.parametrize(
    ("paths", "wanted"),
    [
        (["b.png", "sub/a.png"], ["b.png", "sub/a.png"]),
        (["same.png", "same.png"], ["a/00000000", "a/00000001"]),
        ([None, "x.png"], ["a/00000000", "a/00000001"]),
        (["/abs/b.png", "../a.png"], ["b.png", "a.png"]),
    ],
)
def test_paths_are_kept_if_they_can_be(
    tmp_path: Path, paths: list[str | None], wanted: list[str]
) -> None:
    """Else the row makes the name, and a note says so."""
    parquet(tmp_path / "a.parquet", [0, 1], pa.int64(), LABEL, paths=paths)
    found = read(tmp_path)
    assert found.store is not None
    assert sorted((s.path for s in found.samples), key=found.store.position) == wanted
    assert any("named by their rows" in note for note in found.notes) == ("a/" in wanted[0])


def test_bytes_that_are_not_there(tmp_path: Path) -> None:
    """An image with a path alone is a missing image, not an error."""
    images = [{"bytes": None, "path": "a.png"}, {"bytes": b"x", "path": "b.png"}]
    table = pa.table({"image": pa.array(images, IMAGE), "label": ["cat", "dog"]})
    pq.write_table(table, tmp_path / "a.parquet")
    store = read(tmp_path).store
    assert store is not None
    fault = store.ref("a.png").fault
    assert fault is not None
    assert fault.reason is Reason.MISSING
    assert store.ref("b.png").data == b"x"


def test_label_column(tmp_path: Path) -> None:
    """--label-column takes one of several columns, or one per class."""
    text = lines(
        {"file_name": "a.png", "label": "cat", "tags": ["wet"], "day": 1, "wild": 0},
        {"file_name": "b.png", "label": "dog", "tags": [], "day": 0, "wild": 0},
    )
    put(tmp_path, {"metadata.jsonl": text}, "a.png", "b.png")
    with pytest.raises(SourceError, match="label, tags could all be the labels"):
        read(tmp_path)
    assert labels(read(tmp_path, "tags")) == {"a.png": ("wet",), "b.png": ()}
    found = read(tmp_path, "wild", "day")
    assert found.classes == ("wild", "day")
    assert labels(found) == {"a.png": ("day",), "b.png": ()}
    with pytest.raises(SourceError, match="no column 'no'"):
        read(tmp_path, "no")


@pytest.mark.parametrize(
    ("name", "text", "match"),
    [
        ("metadata.jsonl", "{nonsense\n", "line 1: not JSON"),
        ("metadata.jsonl", "[1]\n", "line 1: not a JSON object"),
        ("metadata.jsonl", lines({"label": "cat"}), "no column 'file_name'"),
        ("metadata.jsonl", lines({"file_name": 7, "label": "cat"}), "line 1: 'file_name' is 7"),
        ("metadata.jsonl", "", "no column 'file_name'"),
        ("metadata.jsonl", lines({"file_name": "a.png", "label": {"x": 1}}), "neither text"),
        (
            "metadata.jsonl",
            lines({"file_name": "a.png", "label": "x"}, {"file_name": "b.png", "label": 1}),
            "column 'label' has values of several kinds",
        ),
        ("metadata.jsonl", lines({"file_name": "a.png", "label": 1}), "its class is unknown"),
        ("metadata.jsonl", lines({"file_name": "a.png", "text": "x"}), "no column of labels"),
        ("metadata.jsonl", lines({"file_name": "x.png", "label": "x"}), "matches no file"),
        ("metadata.csv", "file_name,label\na.png\n", "line 2: 1 cell"),
        (
            "metadata.csv",
            "file_name,label\na.png,cat\na.png,dog\n",
            "line 3: a.png has other labels",
        ),
        ("metadata.csv", 'file_name,label\na.png,"[x"\n', "line 2.*begins like a list"),
        ("metadata.csv", "file_name,label\na.png,nan\n", "line 2.*'nan' usually means a missing"),
        (
            "metadata.csv",
            "file_name,cat,dog\na.png,0,-1\nb.png,1,1\nc.png,1,0\n",
            "line 2, column 'dog': '-1' in a column of mostly 1 and 0",
        ),
        (
            "metadata.jsonl",
            lines({"file_name": "a.png", "cat": 1, "dog": 1.0}),
            "line 1, column 'dog': '1.0' in a column of mostly 1 and 0",
        ),
        ("metadata.csv", "images_file_names,label\na.png,x\n", "several images per row"),
        ("metadata.parquet", "text", "not a Parquet file"),
        ("train.parquet", "version https://git-lfs.github.com/spec/v1\n", "pointer of Git LFS"),
        ("train.parquet", "PAR1 and no more", "cannot be read as Parquet"),
    ],
)
def test_refused(tmp_path: Path, name: str, text: str, match: str) -> None:
    """One line with the place and what to do."""
    with pytest.raises(SourceError, match=match) as caught:
        read(put(tmp_path, {name: text}, "a.png"))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("values", "kind", "feature", "match"),
    [
        ([0, 3], pa.int64(), LABEL, "row 1, column 'label': 3 is not the number of one of the 3"),
        ([[1, 0, 0], [0, 1, 0]], pa.list_(pa.int64()), {}, "a 1 or 0 for each class"),
        ([1.5, 2.5], pa.float64(), {}, "no column of labels"),
        (["a\x07b", "c"], pa.string(), {}, "unprintable"),
        ([None, None], pa.string(), {}, "column 'label' has no values"),
    ],
)
def test_labels_that_are_none(
    tmp_path: Path, values: list[Any], kind: Any, feature: object, match: str
) -> None:
    """Numbers without a class, multi-hot lists, floats, names with line ends."""
    parquet(tmp_path / "a.parquet", values, kind, feature)
    with pytest.raises(SourceError, match=match):
        read(tmp_path)


def test_text_that_is_not_utf8(tmp_path: Path) -> None:
    """A damaged Parquet file may have a valid structure and bytes that are no text."""
    file = tmp_path / "a.parquet"
    parquet(file, ["cat", "dog"], pa.string(), {})
    file.write_bytes(file.read_bytes().replace(b"cat", b"\xffat"))
    with pytest.raises(SourceError, match=r"cannot be read as Parquet: 'utf-8'"):
        read(tmp_path)


def test_objects_in_json_lines(tmp_path: Path) -> None:
    """As `datasets` documents for object detection: the categories are the labels."""
    text = lines(
        {"file_name": "a.png", "objects": {"bbox": [[1, 2, 3, 4]], "categories": ["cat"]}},
        {"file_name": "b.png", "objects": {"bbox": [], "categories": []}},
    )
    put(tmp_path, {"metadata.jsonl": text}, "a.png", "b.png")
    assert labels(read(tmp_path)) == {"a.png": ("cat",), "b.png": ()}
    assert labels(read(tmp_path, "objects.categories")) == labels(read(tmp_path))


def test_numbers_in_a_csv(tmp_path: Path) -> None:
    """-1 is no label among numbers of classes, as in Parquet; UTF-16 is read as well."""
    put(tmp_path, {}, "a.png", "b.png", "c.png")
    text = "file_name,label\na.png,-1\nb.png,2\nc.png,10\n"
    (tmp_path / "metadata.csv").write_bytes(text.encode("utf-16"))
    assert SOURCES["hf"].looks_like(Tree(tmp_path)) == "metadata.csv"
    found = read(tmp_path)
    assert labels(found) == {"b.png": ("2",), "c.png": ("10",)}
    assert [bad.path for bad in found.rejected] == ["a.png"]


@pytest.mark.parametrize("name", ["image", "label"])
def test_two_columns_of_one_name(tmp_path: Path, name: str) -> None:
    """Which of them is meant is unknown."""
    images = pa.array([{"bytes": b"x", "path": "a.png"}], IMAGE)
    arrays = {"image": images, "label": pa.array(["cat"])}
    table = pa.Table.from_arrays([*arrays.values(), arrays[name]], [*arrays, name])
    pq.write_table(table, tmp_path / "a.parquet")
    assert SOURCES["hf"].looks_like(Tree(tmp_path))
    with pytest.raises(SourceError, match=f"two columns '{name}'"):
        read(tmp_path)


def test_a_missing_part(tmp_path: Path) -> None:
    """train-00000-of-00002 without its second part is refused: half a set is not packed."""
    parquet(tmp_path / "train-00000-of-00002.parquet", [0], pa.int64(), LABEL)
    with pytest.raises(SourceError, match=r"train-00001-of-00002\.parquet: is missing"):
        read(tmp_path)


def test_parts_that_disagree(tmp_path: Path) -> None:
    """Other class names or columns in another file would mean other labels."""
    parquet(tmp_path / "train.parquet", [0], pa.int64(), LABEL)
    parquet(tmp_path / "test.parquet", [0], pa.int64(), {**LABEL, "names": ["dog", "cat"]})
    with pytest.raises(SourceError, match="other class names"):
        read(tmp_path)
    parquet(tmp_path / "test.parquet", [0], pa.int64(), LABEL, name="kind")
    with pytest.raises(SourceError, match="other columns"):
        read(tmp_path)
