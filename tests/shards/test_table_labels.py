"""Class names in the cells of a table: lists, and what stands between names."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from tables import labels, read

from shards.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from shards.sample import AnnotatedSet

NAMES = [f"p{i}.jpg" for i in range(6)]


def cells(root: Path, *texts: str, column: str = "labels", **options: str | None) -> AnnotatedSet:
    """Read a table of these cells, written by pandas."""
    frame = pd.DataFrame({"path": NAMES[: len(texts)], column: texts})
    return read(root, frame.to_csv(index=False), *NAMES, **options)


def found(root: Path, *texts: str, column: str = "labels", **options: str | None) -> list[set[str]]:
    """The names that are read from these cells."""
    return [set(names) for names in labels(cells(root, *texts, column=column, **options)).values()]


@pytest.mark.parametrize("mark", [",", "|", ", ", " | ", "\n", "\r\n", ";"])
def test_separators_that_the_cells_prove(tmp_path: Path, mark: str) -> None:
    """A mark parts names where most of them also stand alone in a cell."""
    assert found(tmp_path, f"cat{mark}dog", "cat", "dog", f"dog{mark}yak{mark}cat", "") == [
        {"cat", "dog"},
        {"cat"},
        {"dog"},
        {"cat", "dog", "yak"},
        set(),
    ]


def as_python(names: Sequence[str]) -> str:
    return str(list(names))


def as_numpy(names: Sequence[str]) -> str:
    return str(np.array(names))


def as_tuple(names: Sequence[str]) -> str:
    return str(tuple(names))


def as_set(names: Sequence[str]) -> str:
    return str(set(names))


@pytest.mark.parametrize("write", [json.dumps, as_python, as_numpy, as_tuple, as_set])
def test_lists(tmp_path: Path, write: type) -> None:
    """Lists as Python, NumPy and JSON write them hold the names that were put in, whatever those.

    NumPy's are the trap: Python itself takes two texts without a comma for one.
    """
    rng = random.Random(4)
    words = ["cat", "traffic light", "a, b", "it's", 'the "yak"', "Kühe", "a\\b", "[x]"]
    truth = [rng.sample(words, rng.randint(0, 4)) for _ in NAMES]
    assert found(tmp_path, *map(write, truth)) == list(map(set, truth))


def test_lists_of_numbers_and_mixed(tmp_path: Path) -> None:
    """Numbers in a list are names, and a plain cell beside lists is one name."""
    assert found(tmp_path, "[1, 5]", "[1]", "7", "[]") == [{"1", "5"}, {"1"}, {"7"}, set()]
    assert found(tmp_path, "['cat', 'dog']", "cat", "(unknown)") == [
        {"cat", "dog"},
        {"cat"},
        {"(unknown)"},
    ]


@pytest.mark.parametrize(
    ("texts", "example"),
    [
        (["haze primary", "haze", "primary"], "'haze primary'"),
        (["haze primary", "agriculture clear primary water", "clear primary"], "primary"),
        (["haze primary", "haze primary"], "'haze primary'"),
        (["tench, Tinca tinca", "crane, bird", "cat"], "'crane, bird'"),
        (["cat,dog", "cat,bird"], "'cat,bird'"),
        (["cat|dog", "cow|yak"], "'cat|dog'"),
        (["cat;dog", "cat,dog", "dog"], "'cat,dog'"),
        (["cat|dog", "cat,dog", "dog", "cat"], "'cat,dog'"),
        (["cat/dog", "cat", "dog"], "'cat/dog'"),
        (["cat_dog", "cat", "dog"], "'cat_dog'"),
        (["cat & dog", "cat", "dog"], "'cat & dog'"),
    ],
)
def test_what_would_be_a_guess(tmp_path: Path, texts: list[str], example: str) -> None:
    """Cells that may hold one name or several are refused: an example, its line, and both ways."""
    with pytest.raises(SourceError) as caught:
        cells(tmp_path, *texts)
    message = str(caught.value)
    assert message.startswith(f"{tmp_path / 'labels.csv'}, line ")
    assert example in message
    assert "`label_separator=" in message
    assert message.count("`label_separator=") == 2


@pytest.mark.parametrize(
    ("column", "texts"),
    [
        ("labels", ["traffic light", "car", "stop sign", "fire hydrant"]),
        ("label", ["hot dog", "dog", "baseball bat", "baseball glove"]),
        ("labels", ["hot dog;dog", "hot dog", "hot"]),
        ("labels", ["cat, small;dog", "cat, small", "dog"]),
        ("labels", ["t-shirt", "T", "x/y", "a.b"]),
    ],
)
def test_names_that_need_no_question(tmp_path: Path, column: str, texts: list[str]) -> None:
    """Blanks and marks inside a name are its own where no part of it is another name."""
    assert found(tmp_path, *texts, column=column) == [set(text.split(";")) for text in texts]


def test_rows_with_one_name_each_may_have_blanks(tmp_path: Path) -> None:
    """Where an image has several rows, a row has one name: 'hot dog' beside 'hot' and 'dog'."""
    table = "path,labels\np0.jpg,hot dog\np0.jpg,dog\np1.jpg,hot\n"
    assert labels(read(tmp_path, table, *NAMES)) == {
        "p0.jpg": ("dog", "hot dog"),
        "p1.jpg": ("hot",),
    }


@pytest.mark.parametrize("mark", [" ", ",", "|", "/", "::", ";"])
def test_the_user_says(tmp_path: Path, mark: str) -> None:
    """What the user says stands between names parts them, and nothing else does."""
    texts = [mark.join(("cat", "d-o_g")), "cat", mark.join(("yak", "", "cow", "cat"))]
    assert found(tmp_path, *texts, label_separator=mark) == [
        {"cat", "d-o_g"},
        {"cat"},
        {"yak", "cow", "cat"},
    ]


def test_the_user_says_one_name_a_cell(tmp_path: Path) -> None:
    """';' says that cells with blanks, commas or numbers hold one name each."""
    texts = ["haze primary", "haze", "tench, Tinca tinca", "0", "1", "nan"]
    assert found(tmp_path, *texts, label_separator=";") == [{text} for text in texts]
    assert found(tmp_path, "0", "1", label_separator=";") == [{"0"}, {"1"}]


def test_the_user_says_something_else(tmp_path: Path) -> None:
    """A separator that no cell has is noted, or refused where cells have another one."""
    assert cells(tmp_path, "cat", "dog", label_separator="|").notes == (
        "labels.csv: no cell of 'labels' contains '|' (`label_separator`)",
    )
    with pytest.raises(SourceError, match=r"line 3, .*: 'cat,dog': no cell contains the '\|'"):
        cells(tmp_path, "cat", "cat,dog", label_separator="|")
    with pytest.raises(SourceError, match="this table has one column per class"):
        read(tmp_path, "path,cat\np0.jpg,1\n", label_separator="|")


def test_a_name_that_no_file_could_hold(tmp_path: Path) -> None:
    """A name with ';' in a list, or beside another separator, is refused with its line."""
    for texts, mark in ((["cat", "['a;b']"], None), (["cat", "a;b|c"], "|")):
        with pytest.raises(SourceError, match=r"line 3, column 'labels': .* contains ';'"):
            cells(tmp_path, *texts, label_separator=mark)


@pytest.mark.parametrize("text", ["[cat]", "['cat'", "['cat' + 'dog']", '{"taxonomy": ["cat"]}'])
def test_broken_lists(tmp_path: Path, text: str) -> None:
    """What begins like a list and is none is refused, unless the user says what parts names."""
    with pytest.raises(SourceError, match=r"line 2, column 'labels': .* begins like a list"):
        cells(tmp_path, text, "cat")
    assert found(tmp_path, text, "cat", label_separator=";") == [{text}, {"cat"}]


def test_what_was_recognized_is_noted(tmp_path: Path) -> None:
    """A separator or lists that were recognized are told, with an example."""
    assert cells(tmp_path, "cat|dog", "cat", "dog").notes == (
        "labels.csv: the names in 'labels' are separated by '|', as in 'cat|dog'",
    )
    assert cells(tmp_path, "['cat']", "['cat', 'dog']").notes == (
        "labels.csv: lists of names in 'labels' (2 different ones)",
    )


@pytest.mark.parametrize("cell", ["NA", "N/A", "n/a", "NaN", "None"])
def test_what_programs_write_for_no_value_is_no_class(tmp_path: Path, cell: str) -> None:
    """A missing value of R, pandas or a spreadsheet stops the reading; the user may insist."""
    table = f"path,labels\na.jpg,{cell}\nb.jpg,dog\n"
    with pytest.raises(SourceError, match="a missing value"):
        read(tmp_path, table, "a.jpg", "b.jpg")
    found = read(tmp_path, table, label_separator=";")
    assert labels(found) == {"a.jpg": (cell,), "b.jpg": ("dog",)}


def test_choices_of_label_studio(tmp_path: Path) -> None:
    """Several labels of one image are an object with a list; a single one is its name."""
    several = json.dumps({"choices": ["dog", "traffic light"]}).replace('"', '""')
    found = read(tmp_path, f'image,choice\na.jpg,"{several}"\nb.jpg,cat\n', "a.jpg", "b.jpg")
    assert labels(found) == {"a.jpg": ("dog", "traffic light"), "b.jpg": ("cat",)}
    with pytest.raises(SourceError, match="begins like a list"):
        read(tmp_path, 'image,choice\na.jpg,"{""other"": [""dog""]}"\nb.jpg,cat\n')
