"""Names of classes as text."""

from __future__ import annotations

import unicodedata

import pytest

from shards.class_names import (
    LONGEST,
    TAKEN,
    canonical,
    folded,
    look_alikes,
    name_fault,
    several_in_one,
)
from vocscore.scoring.formats.choice import FIXED_COLUMNS


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (unicodedata.normalize("NFD", "café"), "café"),
        ("traffic  light", "traffic light"),
        (" traffic\u00a0\u2003light ", "traffic light"),
        ("cat\u200b", "cat"),
        ("\ufeffcat", "cat"),
        ("traffic\u00adlight", "trafficlight"),
        ("cat\ndog", "cat\ndog"),
        ("cat\tdog", "cat\tdog"),
        ("traffic-light", "traffic-light"),
        ("ﬁre", "ﬁre"),
        ("", ""),
        (" \u00a0", ""),
    ],
)
def test_one_spelling(name: str, expected: str) -> None:
    """Accents, blanks and what has no width come to one spelling; nothing else is touched."""
    assert canonical(name) == expected
    assert canonical(expected) == expected


@pytest.mark.parametrize(
    "group",
    [
        ["Person", "person"],
        ["CAFÉ", unicodedata.normalize("NFD", "café")],
        ["STRASSE", "Straße"],
        ["cat", "\uff43\uff41\uff54"],
        ["cat", "cat\u200d"],
    ],
)
def test_look_alikes(group: list[str]) -> None:
    """Names that differ in case, width or what cannot be seen look alike."""
    assert len({folded(name) for name in group}) == 1
    assert look_alikes([*group, "dog"]) == [sorted(group)]


def test_what_does_not_look_alike() -> None:
    """Hyphens, underscores, plurals and accents make other names."""
    assert look_alikes(["t-shirt", "t_shirt", "tshirt", "t-shirts", "résumé", "resume"]) == []


@pytest.mark.parametrize(
    "name", ["cat", "Äffin", "a,b", "a|b", '"', "日本", "می\u200cروم", "a/b", "$x$"]
)
def test_names_that_can_be_classes(name: str) -> None:
    """What any format can hold is a class, letters of every script among it."""
    assert name_fault(name) is None


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("", "is blank"),
        ("  ", "is blank"),
        (" cat", "leading or trailing blanks"),
        ("cat;dog", "';'"),
        ("cat\ndog", "line break"),
        ("cat\tdog", "unprintable"),
        ("cat\0", "unprintable"),
        ("\udcff", "unprintable"),
        ("\u202ecat", "unprintable"),
        ("x" * (LONGEST + 1), "201 characters"),
        *((name, "another column") for name in sorted(TAKEN)),
    ],
)
def test_names_that_cannot_be_classes(name: str, said: str) -> None:
    """What some format cannot hold is refused, with the reason, on one line of printable text."""
    fault = name_fault(name)
    assert fault is not None
    assert said in fault
    assert fault.isprintable()
    assert len(fault) < 2 * LONGEST


def test_columns_of_every_format_are_taken() -> None:
    """No class can have the name of a fixed column of any format of predictions."""
    assert {name for columns in FIXED_COLUMNS.values() for name in columns} == TAKEN


@pytest.mark.parametrize(
    ("names", "several"),
    [
        (["cat", "dog", "cat,dog"], ["cat,dog"]),
        (["cat", "cat|bird"], ["cat|bird"]),
        (["['cat']", "dog"], ["['cat']"]),
        (["cat,dog", "dog,cow", "yak"], ["cat,dog", "dog,cow"]),
        (["'cat', 'dog'", "dog"], ["'cat', 'dog'"]),
        (['"cat"', "cat"], ['"cat"']),
        (['"cat"', "dog"], []),
        (["tench, Tinca tinca", "goldfish, Carassius auratus"], []),
        (["a,", "b"], []),
        (["cat", "dog"], []),
    ],
)
def test_several_in_one(names: list[str], several: list[str]) -> None:
    """A name is several labels where its parts are labels, too; a comma alone proves nothing."""
    assert several_in_one(names) == several
