"""The class names of a set: one spelling each, counts, and what a person must decide."""

from __future__ import annotations

import unicodedata
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from shards.errors import LabelError
from shards.sample import AnnotatedSet, Sample
from shards.vocabulary import count_labels, question_names, unify_names

DECOMPOSED = unicodedata.normalize("NFD", "café")


def named(*labels: str | tuple[str, ...], **fields: Any) -> AnnotatedSet:
    """A set with one image for each of these labels or tuples of labels."""
    rows = [(one,) if isinstance(one, str) else one for one in labels]
    samples = [Sample(f"{i}.jpg", tuple(sorted(row))) for i, row in enumerate(rows)]
    return AnnotatedSet(Path("root"), tuple(samples), **fields)


def labels(found: AnnotatedSet) -> list[tuple[str, ...]]:
    return [sample.present for sample in found.samples]


def test_a_clean_set_stays_as_it_is() -> None:
    """Where nothing is to be changed, the very same set comes back."""
    clean = named("cat", "café", ("cat", "dog"))
    assert unify_names(clean) is clean
    assert question_names(clean, None) == []


def test_accents_and_blanks() -> None:
    """Composed and decomposed accents, and blanks, are one class; a note tells each."""
    found = unify_names(named("café", DECOMPOSED, "traffic  light", ("traffic light", DECOMPOSED)))
    assert labels(found) == [("café",), ("café",), ("traffic light",), ("café", "traffic light")]
    (note,) = found.notes
    assert r"'cafe\u0301' to 'café'" in note
    assert "'traffic  light' to 'traffic light'" in note


def test_present_outranks_difficult() -> None:
    """A class that is present in one spelling and only difficult in another is present."""
    sample = Sample("a.jpg", ("café",), (DECOMPOSED, "dog"))
    found = unify_names(AnnotatedSet(Path("root"), (sample,)))
    assert found.samples == (Sample("a.jpg", ("café",), ("dog",)),)


def test_declared_classes() -> None:
    """The layout's own list of classes is brought to one spelling, in its order, each once."""
    found = unify_names(named("b ", "a", classes=("b ", DECOMPOSED, "a", "b", "café")))
    assert found.classes == ("b", "café", "a")
    assert labels(found) == [("b",), ("a",)]


def test_counts() -> None:
    """Images of each class, ordinary and only difficult, and those without any label."""
    samples = [
        Sample("a", ("x", "y")),
        Sample("b", ("x",), ("y",)),
        Sample("c", ()),
        Sample("d", ()),
    ]
    counts = count_labels(AnnotatedSet(Path("root"), tuple(samples)))
    assert (counts.present, counts.difficult) == (Counter(x=2, y=1), Counter(y=1))
    assert (counts.unlabeled, counts.images) == (2, 4)
    assert [counts.of(name) for name in ("x", "y", "z")] == [2, 2, 0]


def test_case_is_a_persons_decision() -> None:
    """Spellings that differ in case stop, each with its images and its first place."""
    found = named(
        "cat", "Person", "person", "person", "CAT", places={"CAT": "Annotations/z.xml, line 3"}
    )
    with pytest.raises(LabelError) as caught:
        question_names(found, None)
    said = str(caught.value)
    for part in (
        "'CAT' (1 image, Annotations/z.xml, line 3)",
        "'cat' (1 image, 0.jpg)",
        "'Person' (1 image, 1.jpg)",
        "'person' (2 images, 2.jpg)",
        "`merge_case=True`",
        "`rename=",
        "`classes`",
    ):
        assert part in said
    assert said.startswith("root: ")
    assert said.isprintable()


def test_case_in_declared_classes() -> None:
    """Two categories that differ in case stop, too, though one of them has no image."""
    with pytest.raises(LabelError, match="'Cat' "):
        question_names(named("cat", classes=("cat", "Cat")), None)


@pytest.mark.parametrize(
    ("given", "declared", "target"),
    [
        (None, None, "Person"),
        (("PERSON", "cat"), None, "PERSON"),
        (None, ("PERSON", "Person", "person", "cat"), "PERSON"),
    ],
)
def test_merge_case(given: Any, declared: Any, target: str) -> None:
    """One spelling: the user's, else the first declared, else the commonest; a note tells it."""
    rows = ("Person", "person", "cat", ("Person", "cat"), ("Person", "PERSON"))
    found = unify_names(named(*rows, classes=declared), merge_case=True, given=given)
    assert labels(found) == [
        (target,), (target,), ("cat",), tuple(sorted((target, "cat"))), (target,),
    ]  # fmt: skip
    assert declared is None or found.classes == (target, "cat")
    assert any(f"merged into '{target}'" in note for note in found.notes)
    assert question_names(found, given) == []


def test_both_spellings_wanted() -> None:
    """A user who lists both spellings gets two classes, with --merge-case or without."""
    given = ("person", "Person")
    both = named("person", "Person")
    assert question_names(both, given) == []
    assert labels(unify_names(both, merge_case=True, given=given)) == [("person",), ("Person",)]


def test_rename() -> None:
    """A class is called otherwise; two become one; either spelling is found; no chains."""
    rows = ("a", "b", DECOMPOSED, "cat;dog", ("a", "b"))
    renames = {"a": "b", "b": "c", "café": "coffee house", "cat;dog": "pets"}
    found = unify_names(named(*rows), renames=renames)
    assert labels(found) == [("b",), ("c",), ("coffee house",), ("pets",), ("b", "c")]


def test_places_follow_the_names() -> None:
    """A class that was renamed tells the place of its old name."""
    found = unify_names(
        named("a", "b", places={"a": "x, line 1", "b": "y, line 2"}), renames={"a": "z"}
    )
    assert (found.place("z"), found.place("b"), found.place("none")) == (
        "x, line 1",
        "y, line 2",
        "root",
    )


@pytest.mark.parametrize(
    ("renames", "said"),
    [
        (
            {"Cat": "dog"},
            r"`rename=\[\('Cat', 'dog'\)\]`: there is no class 'Cat' \(found: 'cat'\)",
        ),
        ({"cat": "a;b"}, r"`rename=\[\('cat', 'a;b'\)\]`: 'a;b' cannot be a class"),
        ({"cat": " "}, "is blank"),
    ],
)
def test_bad_renames(renames: dict[str, str], said: str) -> None:
    """A rename of nothing, or to a name that cannot be a class, is refused with the option."""
    with pytest.raises(LabelError, match=said):
        unify_names(named("cat"), renames=renames)


def test_separators_in_names() -> None:
    """Names that are surely several labels stop; where one could be, a warning names it.

    Declared names are what the source says that they are: a warning.
    """
    with pytest.raises(
        LabelError, match=r"'cat,dog' \(1 image, 1\.jpg\).*`label_separator`.*`classes`"
    ):
        question_names(named("cat", "cat,dog"), None)
    (doubt,) = question_names(named("tench, Tinca tinca", "dog"), None)
    assert "'tench, Tinca tinca' (1 image, 0.jpg)" in doubt
    declared = named("cat", "cat,dog", classes=("cat", "cat,dog"))
    assert len(question_names(declared, None)) == 1
    assert question_names(named("cat", "cat,dog"), ("cat", "cat,dog")) == []


def test_unknown_names_are_told_at_once() -> None:
    """All names that the user's list lacks come in one message, with counts and places."""
    found = named("cat", "yak", "yak", "Cat", places={"yak": "t.csv, line 9"})
    with pytest.raises(LabelError) as caught:
        question_names(found, ("cat",))
    said = str(caught.value)
    assert "'yak' (2 images, t.csv, line 9)" in said
    assert "'Cat' (1 image, 3.jpg)" in said
    assert "With `merge_case=True`, 'Cat' becomes 'cat'" in said
    assert said.endswith("`rename=[('OLD', 'NEW')]`.")


def test_long_lists_are_cut() -> None:
    """Of a hundred names in question five are shown and the rest is counted."""
    rows = [f"{case}{i}" for i in range(100) for case in ("a", "A")]
    with pytest.raises(LabelError, match="and 95 more") as caught:
        question_names(named(*rows), None)
    assert len(str(caught.value)) < 800


def test_names_whose_words_are_joined_otherwise_are_warned_of() -> None:
    """A blank, '_', '-' or nothing between words makes another class, which a warning names."""
    found = named("traffic light", "traffic_light", "traffic_light", "t-shirt", "tshirt", "cat")
    shirts, lights = sorted(question_names(found, None))
    assert "'t-shirt' (1 image, " in shirts
    assert "'tshirt' (1 image, " in shirts
    assert "'traffic light' (1 image, " in lights
    assert "'traffic_light' (2 images, " in lights
    assert "cat" not in shirts + lights
    assert (
        question_names(found, ("traffic light", "traffic_light", "t-shirt", "tshirt", "cat")) == []
    )
    assert question_names(named("a-1", "a-2", "-", "_"), None) == []


def test_quotes_that_are_part_of_names_are_warned_of() -> None:
    """A name in quotes is packed as it is, and a warning shows that the quotes are in it."""
    (doubt,) = question_names(named("'cat'", "dog"), None)
    assert "\"'cat'\" (1 image, " in doubt
    assert "dog" not in doubt
