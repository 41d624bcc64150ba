"""Which column of a table is which."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tables import labels, read

from shards.errors import SourceError

if TYPE_CHECKING:
    from pathlib import Path

PATHS = (
    *("path", "filename", "file", "file_name", "image", "image_path", "img", "name", "File Name"),
    *("IMAGE", "imagePath", "ImageID", "id", "image_name", "Filepath"),
)
LABELS = (
    *("labels", "label", "tags", "classes", "class", "LabelName", "class_name", "Category"),
    *("Finding Labels", "image_tags"),
)


@pytest.mark.parametrize("name", PATHS)
def test_names_of_paths(tmp_path: Path, name: str) -> None:
    """The column of paths has one of the usual names, in any case and at any place."""
    found = read(tmp_path, f"note,dog,{name},cat\nx,1,a.jpg,0\ny,0,b.jpg,1\n", "a.jpg", "b.jpg")
    assert labels(found) == {"a.jpg": ("dog",), "b.jpg": ("cat",)}
    assert found.classes == ("dog", "cat")


@pytest.mark.parametrize("name", LABELS)
def test_names_of_labels(tmp_path: Path, name: str) -> None:
    """The column of labels has one of the usual names, or ends as one does."""
    found = read(tmp_path, f"{name},path\ncat;dog,a.jpg\n,b.jpg\n", "a.jpg", "b.jpg")
    assert labels(found) == {"a.jpg": ("cat", "dog"), "b.jpg": ()}
    assert found.classes is None


def test_the_column_whose_cells_are_files(tmp_path: Path) -> None:
    """Of two columns that may be paths, the one whose files are there; so where none is named."""
    table = "image_id,filename,label\n7,a.jpg,cat\n8,b.jpg,dog\n"
    assert labels(read(tmp_path, table, "a.jpg", "b.jpg")) == {"a.jpg": ("cat",), "b.jpg": ("dog",)}
    table = "filename,image_id,label\nx/a.png,a,cat\nx/b.png,b,dog\n"
    assert labels(read(tmp_path, table)) == {"a.jpg": ("cat",), "b.jpg": ("dog",)}
    table = "name,foto,label\nAnn,a.jpg,cat\nBob,b.jpg,dog\n"
    assert labels(read(tmp_path, table)) == {"a.jpg": ("cat",), "b.jpg": ("dog",)}
    assert labels(read(tmp_path, ",cat\na.jpg,1\n")) == {"a.jpg": ("cat",)}


@pytest.mark.parametrize(
    ("yes", "no"),
    [
        *(("1", "0"), ("1.0", "0.0"), ("1", ""), ("x", ""), ("X", ""), ("TRUE", "FALSE")),
        *(("True", "False"), ("yes", "no"), ("Y", "N"), (" 1 ", " 0 "), ("1.00", "")),
    ],
)
def test_truth_values(tmp_path: Path, yes: str, no: str) -> None:
    """A class's column says yes and no in any of the usual ways; a blank is no."""
    found = read(tmp_path, f"path,cat,dog\na.jpg,{yes},{no}\nb.jpg,{no},{yes}\n", "a.jpg", "b.jpg")
    assert labels(found) == {"a.jpg": ("cat",), "b.jpg": ("dog",)}


def test_decimal_commas(tmp_path: Path) -> None:
    """Where commas stand for points, 1,0 is 1 and -1,0 is -1."""
    found = read(tmp_path, "path;cat;dog;yak\na.jpg;1,0;-1,0;0,0\n", "a.jpg")
    assert (found.samples[0].present, found.samples[0].difficult) == (("cat",), ("dog",))


def test_other_columns_are_ignored_and_named(tmp_path: Path) -> None:
    """Text, numbers and the index of pandas are no classes; a note names what is taken and not."""
    table = (
        ",Unnamed: 0,path,width,cat,age,remark,person_id,dog\n"
        "0,0,a.jpg,1,1,33,fine,1,0\n"
        "1,1,b.jpg,1,0,1,blurred,0,0\n"
        "2,2,b2.jpg,1,0,4,,0,0\n"
    )
    found = read(tmp_path, table, "a.jpg", "b.jpg", "b2.jpg")
    assert found.classes == ("cat", "dog")
    taken, flags = found.notes
    assert taken == (
        "labels.csv: paths are in 'path', classes are 'cat', 'dog'; ignored: column 1 (unnamed), "
        "'Unnamed: 0', 'width', 'age', 'remark', 'person_id'"
    )
    assert flags == "labels.csv: rename a column to use it as a class: 'width', 'person_id'"


def test_columns_beside_labels(tmp_path: Path) -> None:
    """Where there is a column of labels, flags beside it are ignored and named."""
    table = "filename,width,class,xmin,occluded\na.jpg,640,cat,3,1\na.jpg,640,dog,9,0\n"
    found = read(tmp_path, table, "a.jpg")
    assert labels(found) == {"a.jpg": ("cat", "dog")}
    assert "ignored: 'width', 'xmin', 'occluded'" in found.notes[0]


def test_numbers_of_classes_beside_names(tmp_path: Path) -> None:
    """Of a number and a name for each class, the name is the label."""
    found = read(tmp_path, "path,label,label_name\na.jpg,0,cat\nb.jpg,1,dog\n", "a.jpg", "b.jpg")
    assert labels(found) == {"a.jpg": ("cat",), "b.jpg": ("dog",)}


def test_a_class_of_blanks(tmp_path: Path) -> None:
    """A column without any cell is a class that no image has; a note says so."""
    found = read(tmp_path, "path,cat,dog\na.jpg,1,\n", "a.jpg")
    assert (labels(found), found.classes) == ({"a.jpg": ("cat",)}, ("cat", "dog"))
    assert found.notes == ("labels.csv: every cell is blank, so 0, in 'dog'",)


def test_the_documented_header_needs_no_note(tmp_path: Path) -> None:
    """The two documented kinds of table are read without a word."""
    assert read(tmp_path, "path,labels\na.jpg,cat\n", "a.jpg").notes == ()
    assert read(tmp_path, "path,cat,dog\na.jpg,1,0\n", "a.jpg").notes == ()


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("path,label\na.jpg,0\nb.jpg,1\n", "column 'label' holds only truth values such as '0'"),
        ("path,label,class\na.jpg,x1,y1\n", "'label' and 'class' could both be the labels"),
        ("path,labels,cat\na.jpg,cat,1\n", "labels are in 'labels' and in 'cat'"),
        ("path,breed\na.jpg,poodle\n", "(line 2, column 'breed': 'poodle' is neither 1 nor 0)"),
        ("path,n\na.jpg,0\nb.jpg,1\nc.jpg,1\nd.jpg,2\n", "line 5, column 'n': '2' is not a truth"),
        (
            "path,cat,dog\n" + "a.jpg,1,-1\n" + 9 * "b.jpg,-1,-1\n",
            "line 3, column 'cat': '-1' means",
        ),
        ("path\tcat;dog\na.jpg\t1\n", "line 1, column 2: 'cat;dog' contains ';'"),
        ("path,cat\na.jpg,1\nb.jpg,NA\n", "line 3, column 'cat': 'NA' is not a truth value"),
        ("path,labels,split\na.jpg,cat,0\n", "line 2, column 'split': '0' is not train, val or"),
        ("file;path,labels\na.jpg,cat\n", "',' and ';' could both be the delimiter"),
    ],
)
def test_a_guess_is_refused(tmp_path: Path, table: str, said: str) -> None:
    """Where what a column is would be a guess, the table is refused with the cure."""
    with pytest.raises(SourceError) as caught:
        read(tmp_path, table, "a.jpg", "b.jpg")
    assert said in str(caught.value)
    assert str(caught.value).startswith(f"{tmp_path / 'labels.csv'}, line ")


@pytest.mark.parametrize("names", ["label1,label2,label3", "label_1,tag 2,x", "label,label_2,x"])
def test_class_names_in_several_columns_are_refused(tmp_path: Path, names: str) -> None:
    """Columns 'label1', 'label2', ... of text are not dropped in favor of one that is blank."""
    with pytest.raises(SourceError, match=r"could both be the labels.*with ';'"):
        read(tmp_path, f"path,{names}\na.jpg,cat,dog,\nb.jpg,dog,,\n", "a.jpg", "b.jpg")
    found = read(tmp_path, "path,class_1,class_2\na.jpg,1,0\nb.jpg,0,1\n", "a.jpg", "b.jpg")
    assert found.classes == ("class_1", "class_2")


def test_labels_as_label_studio_names_them(tmp_path: Path) -> None:
    """The column 'choice' has the labels; 'annotator', 1 in every row, is no class."""
    table = "image,id,choice,annotator,lead_time\na.jpg,1,cat,1,3.2\nb.jpg,2,dog,1,1.0\n"
    assert labels(read(tmp_path, table, "a.jpg", "b.jpg")) == {"a.jpg": ("cat",), "b.jpg": ("dog",)}


@pytest.mark.parametrize("cells", ["1", "0", ""])
def test_one_value_everywhere_beside_text_is_no_class(tmp_path: Path, cells: str) -> None:
    """A column that is the same in every row is not taken for the classes where text may be."""
    table = f"path,animal,checked\na.jpg,cat,{cells}\nb.jpg,dog,{cells}\n"
    with pytest.raises(SourceError, match=r"'checked', the same .* 'animal' has text"):
        read(tmp_path, table, "a.jpg", "b.jpg")


def test_as_many_minus_ones_as_ones_and_no_zero(tmp_path: Path) -> None:
    """A table that says of no image that it lacks a class has -1 for absent: refused."""
    images = [f"{at}.jpg" for at in range(8)]
    rows = "".join(f"{name},{(-1) ** at},1\n" for at, name in enumerate(images))
    with pytest.raises(SourceError, match="Write 0 for absent"):
        read(tmp_path, f"path,cat,dog\n{rows}", *images)


def test_text_without_a_name_beside_labels_is_refused(tmp_path: Path) -> None:
    """Class names that commas without quotes put into columns of no name are not dropped."""
    with pytest.raises(SourceError, match="column 3 has text but no name"):
        read(tmp_path, "path,labels,,\na.jpg,cat,dog,\nb.jpg,dog,,\n", "a.jpg", "b.jpg")
    found = read(tmp_path, ",path,labels\n0,a.jpg,cat\n1,b.jpg,dog\n", "a.jpg", "b.jpg")
    assert labels(found) == {"a.jpg": ("cat",), "b.jpg": ("dog",)}
