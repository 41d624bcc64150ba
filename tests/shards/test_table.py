"""Labels from a CSV table."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import random
from typing import TYPE_CHECKING

import pandas as pd
import pytest
from tables import read

from shards.classes import choose_classes
from shards.errors import Reason, SourceError
from shards.sample import Sample
from shards.sources.table.read import read_table

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def test_names(tmp_path: Path) -> None:
    """`path,labels`: names between ';', each once, blank for none; samples sorted by path."""
    found = read(
        tmp_path,
        "path,labels\nb.jpg,dog; cat;dog;\nx/a.jpg,\nx\\c.jpg,cat\n",
        "b.jpg",
        "x/a.jpg",
        "x/c.jpg",
    )
    assert found.samples == (
        Sample("b.jpg", ("cat", "dog")),
        Sample("x/a.jpg", ()),
        Sample("x/c.jpg", ("cat",)),
    )
    assert (found.classes, found.rejected, found.splits) == (None, (), {})


def test_columns(tmp_path: Path) -> None:
    """One column a class: 1 present, 0 absent, -1 only difficult."""
    found = read(tmp_path, "path,dog,cat\na.jpg,1,0\nb.jpg, -1 ,1\n", "a.jpg", "b.jpg")
    assert found.samples == (Sample("a.jpg", ("dog",)), Sample("b.jpg", ("cat",), ("dog",)))


def test_columns_without_positives_stay(tmp_path: Path) -> None:
    """A class column without a single 1 is still a class, and columns keep their order."""
    found = read(tmp_path, "path,dog,yak,cat\na.jpg,1,0,0\n", "a.jpg")
    assert found.classes == ("dog", "yak", "cat")
    assert choose_classes(found.names(), None, found.classes) == ("dog", "yak", "cat")


def test_both_kinds_agree(tmp_path: Path) -> None:
    """The same labels written in either way, with the csv module, are read as the same samples."""
    rng = random.Random(5)
    classes = ["dog", "cat, small", 'the "yak"', "Kühe"]
    truth = {f"p {i}, ü.jpg": [rng.randint(0, 1) for _ in classes] for i in range(30)}
    for name in truth:
        (tmp_path / name).touch()
    files = tmp_path / "names.csv", tmp_path / "columns.csv"
    for file in files:
        with file.open("w", newline="", encoding="utf-8-sig") as out:
            table = csv.writer(out)
            table.writerow(["path", "labels"] if file.name == "names.csv" else ["path", *classes])
            for path, values in truth.items():
                names = [name for name, value in zip(classes, values, strict=True) if value]
                table.writerow([path, ";".join(names)] if "names" in file.name else [path, *values])
    ways = [read_table(tmp_path, file).samples for file in files]
    assert len(ways[0]) == 30
    assert ways[0] == ways[1]


def test_byte_order_mark_and_crlf(tmp_path: Path) -> None:
    """What a spreadsheet saves as 'CSV UTF-8' is read, blank lines or not."""
    table = b"\xef\xbb\xbfpath,labels\r\na.jpg,K\xc3\xbche\r\n\r\n,\r\n"
    assert read(tmp_path, table, "a.jpg").samples == (Sample("a.jpg", ("Kühe",)),)


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    """A file name that is no UTF-8 is found; a class name that is none is refused."""
    (tmp_path / "\udcff.jpg").touch()
    assert len(read(tmp_path, b"path,labels\n\xff.jpg,cat\n").samples) == 1
    with pytest.raises(SourceError, match=r"line 2.*'K\\xfche' is not UTF-8. Save the table as"):
        read(tmp_path, b"path,labels\n\xff.jpg,K\xfche\n")
    with pytest.raises(SourceError, match=r"line 1, column 2: 'K\\xfche' is not UTF-8. Save the"):
        read(tmp_path, b"path,K\xfche\n\xff.jpg,1\n")
    with pytest.raises(SourceError, match=r"none of 2 .* not UTF-8: save the list as UTF-8"):
        read(tmp_path, b"path,labels\nK\xfche.jpg,cat\nb\xfc.jpg,cat\n")


TABLE = "path,labels\na.jpg,Kühe;cat\nb.jpg,\n"


@pytest.mark.parametrize(
    "data",
    [
        TABLE.encode("utf-8-sig"),
        TABLE.encode("utf-16"),
        b"\xfe\xff" + TABLE.encode("utf-16-be"),
        TABLE.replace("\n", "\r").encode(),
        TABLE.replace("\n", "\r\n").encode("utf-16"),
        TABLE.replace(",", ";").replace("Kühe;cat", '"Kühe;cat"').encode(),
        TABLE.replace(",", "\t").encode(),
        TABLE.replace(",", "|").encode(),
        ("sep=;\r\n" + TABLE.replace(",", ";").replace("Kühe;cat", '"Kühe;cat"')).encode(),
        ('# exported, "today\n\n#\n' + TABLE).encode(),
        TABLE.replace("\n", ",\n").encode(),
        ('"path","labels"\n"a.jpg","Kühe;cat"\n"b.jpg",""\n').encode(),
        ('path, "labels"\na.jpg, "Kühe;cat"\n"b.jpg", ""\n').encode(),
    ],
    ids=[
        *("BOM", "UTF-16", "UTF-16 BE", "CR", "CRLF UTF-16", "semicolons", "tabs", "bars", "sep="),
        *("comments", "delimiter at the end", "quoted", "blank before a quote"),
    ],
)
def test_exports(tmp_path: Path, data: bytes) -> None:
    """Encodings, delimiters and line ends of spreadsheets and libraries give the same samples."""
    found = read(tmp_path, data, "a.jpg", "b.jpg")
    assert found.samples == (Sample("a.jpg", ("Kühe", "cat")), Sample("b.jpg", ()))


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (TABLE.encode("utf-16-le"), "NUL bytes: not text, or UTF-16 without a byte order mark"),
        (TABLE.encode("utf-32"), "encoded as UTF-32. Save it as UTF-8"),
        (TABLE.encode("utf-16")[:-1], "damaged UTF-16"),
        (b"PK\x03\x04...", "an Excel workbook or a zip archive. Export it as CSV"),
        (b"PAR1...", "a Parquet file. Export it as CSV"),
        (gzip.compress(TABLE.encode(), mtime=0), "compressed by gzip. Unpack it"),
    ],
)
def test_other_files(tmp_path: Path, data: bytes, said: str) -> None:
    """Another encoding, or another kind of file, is refused with what to do."""
    with pytest.raises(SourceError) as caught:
        read(tmp_path, data, "a.jpg")
    assert said in str(caught.value)


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    """A named pipe as the table is refused at once."""
    os.mkfifo(tmp_path / "pipe.csv")
    with pytest.raises(SourceError, match=r"pipe\.csv: cannot be read: a named pipe"):
        read_table(tmp_path, tmp_path / "pipe.csv")


def test_huge_cells(tmp_path: Path) -> None:
    """A cell of a megabyte in a column that is ignored does no harm; the limit is put back."""
    before = csv.field_size_limit()
    table = f"path,labels,mask\na.jpg,cat,{'7 ' * 500_000}\n"
    assert read(tmp_path, table, "a.jpg").samples == (Sample("a.jpg", ("cat",)),)
    assert csv.field_size_limit() == before


CLASSES = ("cat", "dog", "traffic light", "Kühe")
TRUTHS = (("1", "0"), ("1.0", "0.0"), ("TRUE", "FALSE"), ("x", ""), ("yes", "no"), ("1", ""))


def one_per_class(images: Mapping[str, set[str]], rng: random.Random) -> list[list[str]]:
    yes, no = rng.choice(TRUTHS)
    rows = [["image", *CLASSES]]
    for path, names in images.items():
        rows.append([path, *(yes if name in names else no for name in CLASSES)])
    return rows


def one_per_label(images: Mapping[str, set[str]], rng: random.Random) -> list[list[str]]:
    rows = [[path, name] for path, names in images.items() for name in sorted(names) or [""]]
    rng.shuffle(rows)
    return [["File Name", "Label"], *rows]


def names_in_a_cell(images: Mapping[str, set[str]], rng: random.Random) -> list[list[str]]:
    write = rng.choice([";".join, "; ".join, ",".join, "|".join, "\n".join, str, json.dumps])
    return [["path", "tags"], *([path, write(sorted(names))] for path, names in images.items())]


@pytest.mark.parametrize("seed", range(60))
def test_any_export_gives_the_same_labels(tmp_path: Path, seed: int) -> None:
    """Kind of table, delimiter, quotes, line ends, encoding, order and other columns at random."""
    rng = random.Random(seed)
    images = {f"é {i}.jpg": {name} for i, name in enumerate(CLASSES)}
    for number in range(4, 12):
        images[f"é {number}.jpg"] = set(rng.sample(CLASSES, rng.randint(0, 3)))
    write = rng.choice([one_per_class, one_per_label, names_in_a_cell])
    header, *rows = write(images, rng)
    if rng.random() < 0.5:  # an index in front, and numbers and text behind
        header = ["", *header, "width", "remark"]
        rows = [[str(at), *row, "640", rng.choice("ab")] for at, row in enumerate(rows)]
    order = rng.sample(range(1, len(header)), len(header) - 1) if header[0] == "" else None
    if order:
        header, *rows = ([row[0], *(row[at] for at in order)] for row in (header, *rows))
    text = io.StringIO()
    csv.writer(
        text,
        delimiter=rng.choice(",;\t|"),
        quoting=rng.choice([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
        lineterminator=rng.choice(["\n", "\r\n", "\r"]),
    ).writerows([header, *rows])
    data = text.getvalue().encode(rng.choice(["utf-8", "utf-8-sig", "utf-16"]))
    found = read(tmp_path, data, *images)
    assert {sample.path: set(sample.present) for sample in found.samples} == images
    if write is one_per_class:
        assert set(found.classes or ()) == set(CLASSES)


def test_columns_as_pandas_writes_them(tmp_path: Path) -> None:
    """What DataFrame.to_csv writes of booleans, floats and its index is read as the frame says."""
    rng = random.Random(8)
    names = [f"p{i}.jpg" for i in range(20)]
    frame = pd.DataFrame(
        {
            "path": names,
            "cat": [rng.random() < 0.5 for _ in names],
            "dog": [float(rng.randint(-1, 1)) for _ in names],
            "yak": [rng.choice([1.0, None]) for _ in names],
        }
    )
    for options in ({}, {"index": False}, {"sep": ";", "decimal": ","}, {"encoding": "utf-16"}):
        frame.to_csv(tmp_path / "frame.csv", **options)
        found = read(tmp_path, (tmp_path / "frame.csv").read_bytes(), *names)
        assert found.classes == ("cat", "dog", "yak")
        for sample, row in zip(found.samples, frame.sort_values("path").itertuples(), strict=True):
            assert sample.path == row.path
            assert set(sample.present) == {
                *(["cat"] if row.cat else []),
                *(["dog"] if row.dog == 1 else []),
                *(["yak"] if row.yak == 1 else []),
            }
            assert sample.difficult == (("dog",) if row.dog == -1 else ())


def test_absolute_inside(tmp_path: Path) -> None:
    """An absolute path that leads into the root becomes a relative one."""
    found = read(tmp_path, f"path,labels\n{tmp_path}/x/a.jpg,cat\n", "x/a.jpg")
    assert found.samples == (Sample("x/a.jpg", ("cat",)),)


@pytest.mark.parametrize("path", ["../a.jpg", "/etc/passwd", "x/../../a.jpg", "  "])
def test_outside(tmp_path: Path, path: str) -> None:
    """A path that leads out of the root is refused with its line."""
    with pytest.raises(SourceError, match=r"labels\.csv, line 3: path"):
        read(tmp_path, f"path,labels\na.jpg,cat\n{path},cat\n", "a.jpg")


def test_rows_that_contradict(tmp_path: Path) -> None:
    """An image twice with other labels, however it is written, is refused with both lines."""
    with pytest.raises(SourceError, match=r"line 5: x/a\.jpg has other labels than on line 2"):
        read(tmp_path, 'path,labels\nx/a.jpg,cat;dog\n"b\n.jpg",dog\n.\\x\\a.jpg,dog\n')
    with pytest.raises(SourceError, match=r"line 3: a\.jpg has other labels.*: no labels, but cat"):
        read(tmp_path, "path,cat\na.jpg,1\n./a.jpg,0\n")
    with pytest.raises(SourceError, match=r"line 3: a\.jpg has no labels, but on line 2 cat"):
        read(tmp_path, "path,labels\na.jpg,cat\na.jpg,\n")
    with pytest.raises(SourceError, match=r"line 3: a\.jpg is in split 'val', but on line 2 in"):
        read(tmp_path, "path,labels,split\na.jpg,cat,train\na.jpg,cat,val\n")


def test_rows_that_repeat(tmp_path: Path) -> None:
    """A row that says the same again is no second image; a note counts such rows."""
    found = read(tmp_path, "path,labels\na.jpg,cat;dog\na.jpg,dog;cat\n", "a.jpg")
    assert found.samples == (Sample("a.jpg", ("cat", "dog")),)
    assert found.notes == ("labels.csv: 1 row with the labels of an earlier row",)


def test_one_label_a_row(tmp_path: Path) -> None:
    """Rows with one label each are joined by image, as pandas groups them; a note says so."""
    rng = random.Random(3)
    rows = [(f"p{rng.randrange(9)}.jpg", rng.choice("abcd")) for _ in range(40)]
    table = "path,label\n" + "".join(f"{path},{name}\n" for path, name in rows)
    frame = pd.read_csv(io.StringIO(table))
    truth = frame.groupby("path")["label"].agg(lambda names: tuple(sorted(set(names))))
    found = read(tmp_path, table, *truth.index)
    assert {sample.path: sample.present for sample in found.samples} == truth.to_dict()
    joined = f"one label per row; 40 rows are merged into {len(truth)} images"
    assert f"labels.csv: {joined}" in found.notes


def test_confidence(tmp_path: Path) -> None:
    """A label of confidence 0 is absent, as in Open Images; any other number would be a guess."""
    head = "ImageID,Source,LabelName,Confidence\n"
    found = read(tmp_path, f"{head}a,v,/m/1,1\na,v,/m/2,0\nb,v,/m/1,0\n", "a.jpg", "b.jpg")
    assert found.samples == (Sample("a.jpg", ("/m/1",)), Sample("b.jpg", ()))
    assert "labels.csv: 2 labels marked as absent (0): ignored" in found.notes
    with pytest.raises(
        SourceError, match=r"line 3, column 'Confidence': '0\.4' is neither 0 nor 1"
    ):
        read(tmp_path, f"{head}a,v,/m/1,1\na,v,/m/2,0.4\n")
    with pytest.raises(
        SourceError, match=r"line 3: a\.jpg has '/m/1' both as present and as absent"
    ):
        read(tmp_path, f"{head}a,v,/m/1,1\na,v,/m/1,0\n")


def test_splits(tmp_path: Path) -> None:
    """A column 'split' makes the set's own splits, under the names that training knows."""
    table = "split,path,cat\nTrain,a.jpg,1\nvalid,b.jpg,0\n,c.jpg,1\ntest,d.jpg,0\ntrain,no.jpg,1\n"
    found = read(tmp_path, table, "a.jpg", "b.jpg", "c.jpg", "d.jpg")
    assert {name: sorted(paths) for name, paths in found.splits.items()} == {
        "train": ["a.jpg"],
        "val": ["b.jpg"],
        "test": ["d.jpg"],
    }
    assert found.classes == ("cat",)
    with pytest.raises(SourceError, match=r"line 3, column 'split': 'fold2' is not train, val or"):
        read(tmp_path, "path,labels,split\na.jpg,cat,train\nb.jpg,cat,fold2\n")


def test_missing(tmp_path: Path) -> None:
    """An image that is not there, or is a folder, is rejected with its line; the rest goes on."""
    (tmp_path / "folder.jpg").mkdir()
    found = read(tmp_path, "path,labels\nno.jpg,cat\na.jpg,cat\nfolder.jpg,cat\n", "a.jpg")
    assert [sample.path for sample in found.samples] == ["a.jpg"]
    assert [(r.path, r.fault.reason) for r in found.rejected] == [
        ("folder.jpg", Reason.MISSING),
        ("no.jpg", Reason.MISSING),
    ]
    assert "line 2" in found.rejected[1].fault.detail


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("", "contains no table"),
        ("\n  \n", "contains no table"),
        ("path,labels\n", "a header but no rows"),
        ("path\na.jpg\n", "no column of labels"),
        ("a.jpg,cat\nb.jpg,dog\n", "line 1: no header: 'a.jpg,cat' looks like a row"),
        ('"path,labels"\n"a.jpg,cat"\n', "line 1: the whole line is quoted"),
        ("bild,labels\nnone.jpg,cat\n", "no column of image paths in the header 'bild,labels'"),
        ("path,cat,\na.jpg,1,1\n", "line 1: column 3 has cells but no name"),
        ("path,cat,dog,cat\na.jpg,1,1,0\n", "two columns 'cat'"),
        ("path,cat\na.jpg,1\nb.jpg,maybe\n", "line 3, column 'cat': 'maybe'"),
        ("path,cat,dog\na.jpg,1\n", "line 2: 2 cells, but the header has 3"),
        ("path,labels\na.jpg,cat,dog\n", "line 2: 3 cells, but the header has 2"),
        ("path,labels\na.jpg\n", "line 2: 1 cell, but the header has 2"),
        ('path,labels\na.jpg,"cat\n', "line 2: a quote is opened on this line and never closed"),
        ('path,labels\na.jpg,"cat"s\n', "line 2: text after a closing quote"),
        (
            "path,labels\na.jpg,nan\n",
            "line 2, column 'labels': 'nan' usually means a missing value",
        ),
        ('path,labels\na.jpg,ca"t\n', "line 2, column 'labels': 'ca\"t' has an unclosed quote"),
        ("path,labels\na.jpg,c\x07t\n", "'c\\x07t' contains unprintable characters"),
        ('{"images": []}', "not a CSV table but JSON"),
        ("<annotation/>", "not a CSV table but XML"),
    ],
)
def test_refused(tmp_path: Path, table: str, said: str) -> None:
    """A bad table is refused with its name, the line and the column."""
    with pytest.raises(SourceError) as caught:
        read(tmp_path, table, "a.jpg", "b.jpg")
    assert said in str(caught.value)
    assert "labels.csv" in str(caught.value)
    assert str(caught.value).isprintable()
