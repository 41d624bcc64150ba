"""Names and tables in 80 columns: what a terminal shows is what is counted."""

from __future__ import annotations

import unicodedata

import pytest

from vocscore.text_width import COLUMNS, cells, pad, shorten, wrap

CAT = "\u732b"  # two columns
ACCENT = "e\u0301"  # one column, two code points


@pytest.mark.parametrize(
    ("text", "width"),
    [("cat", 3), ("", 0), (CAT, 2), (ACCENT, 1), (f"a{CAT}b", 4), ("\uff21", 2), ("a\u200bb", 2)],
)
def test_columns_of_a_terminal(text: str, width: int) -> None:
    """Wide letters take two columns, accents and marks that show nothing take none."""
    assert cells(text) == width


@pytest.mark.parametrize("most", range(1, 24))
@pytest.mark.parametrize("text", ["a name of twenty cols", CAT * 10, ACCENT * 20, f"x{CAT}" * 7])
def test_a_name_is_shortened_in_its_middle(text: str, most: int) -> None:
    """It fits, keeps its beginning and its end, and no accent loses its letter."""
    short = shorten(text, most)
    assert cells(short) <= most
    if cells(text) <= most:
        assert short == text
        return
    assert cells(short) >= most - 2  # at both ends a wide letter may find no room
    begin, _, end = short.partition("…")
    assert text.startswith(begin)
    assert text.endswith(end)
    assert not end or not unicodedata.combining(end[0])
    assert not text[len(begin) :] or not unicodedata.combining(text[len(begin)])


def test_columns_of_a_table_stay_in_line() -> None:
    """Names are filled up to one width, whatever their letters; a wider one stays."""
    assert {cells(pad(name, 9)) for name in ("cat", CAT, ACCENT, "")} == {9}
    assert pad("elephants", 4) == "elephants"


def test_a_list_is_broken_between_its_parts() -> None:
    """Every line fits, nothing is lost, and a part keeps to one line."""
    parts = [f"{CAT * (n % 9)} class {n} (3)" for n in range(200)]
    lines = wrap(parts, begin="  most: ", indent="  ")
    assert all(cells(line) <= COLUMNS for line in lines)
    assert all(cells(line) > COLUMNS - 40 for line in lines[:-1])
    found = [part.strip() for line in lines for part in line.removeprefix("  most: ").split(",")]
    assert [part for part in found if part] == [part.strip() for part in parts]


def test_a_list_of_one_or_none() -> None:
    """One part has no comma, however wide it is; none leaves the beginning."""
    assert wrap(["x" * 99], begin="  ") == ["  " + "x" * 99]
    assert wrap([], begin="none") == ["none"]
