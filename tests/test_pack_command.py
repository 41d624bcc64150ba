"""`vocscore pack` before it writes: the classes it shows, what it warns of, where it stops."""

from __future__ import annotations

import json
import unicodedata
from typing import TYPE_CHECKING

import pytest
from pack_runs import image, pack, refused

from shards.classes import VOC_CLASSES
from vocscore.text_width import cells

if TYPE_CHECKING:
    from pathlib import Path


def voc(root: Path, *labels: str | tuple[str, ...]) -> Path:
    """A VOC tree with one image for each of these labels or tuples of labels: 0.jpg, 1.jpg ..."""
    for folder in ("JPEGImages", "Annotations"):
        (root / folder).mkdir(parents=True)
    for i, one in enumerate(labels):
        names = (one,) if isinstance(one, str) else one
        objects = "".join(f"<object>\n<name>{name}</name></object>\n" for name in names)
        (root / "JPEGImages" / f"{i}.jpg").write_bytes(image(i))
        text = f"<annotation>{objects}</annotation>"
        (root / "Annotations" / f"{i}.xml").write_text(text, encoding="utf-8")
    return root


def table(root: Path, *labels: str) -> Path:
    """A folder of images and labels.csv: path,labels."""
    root.mkdir()
    rows = ["path,labels"]
    for i, one in enumerate(labels):
        (root / f"{i}.jpg").write_bytes(image(i))
        rows.append(f"{i}.jpg,{one}")
    (root / "labels.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return root / "labels.csv"


def classes(out: Path) -> list[str]:
    return list(json.loads((out / "dataset.json").read_bytes())["classes"])


def test_the_classes_are_shown_with_their_counts(tmp_path: Path) -> None:
    """Each class with the images that show it, and the images without labels."""
    result = pack(voc(tmp_path / "v", "yak", ("yak", "emu"), ()), "-o", tmp_path / "out")
    assert (
        "classes: 2, with the number of images that show each:\n  emu 1, yak 2\n" in result.stdout
    )
    assert "images: 3 (1 without labels)" in result.stdout
    assert result.stdout.index("emu 1") < result.stdout.index("train: ")


def test_many_classes_are_shown_in_short(tmp_path: Path) -> None:
    """Of many classes the commonest and the rarest are shown, on a few lines."""
    rows = [tuple(f"c{n:03d}" for n in range(k, 100)) for k in range(0, 100, 10)]
    listed = tmp_path / "classes.txt"
    listed.write_text("\n".join(f"c{n:03d}" for n in range(120)))
    source = voc(tmp_path / "v", *rows)
    result = pack(source, "-o", tmp_path / "out", "--classes", listed)
    assert "classes: 120," in result.stdout
    assert "  commonest: c090 10, c091 10," in result.stdout
    assert "  rarest: c112 0," in result.stdout
    assert "20 of them are in no image" in result.stdout
    assert result.stdout.count("\n") < 15


def test_the_classes_fit_a_terminal(tmp_path: Path) -> None:
    """Long and wide names keep the list in 80 columns; the set has them whole."""
    names = [f"synthetic category of agricultural machinery {n}" for n in range(9)]
    names += ["\u732b\u3068\u72ac" * n for n in (1, 9, 20)]
    result = pack(voc(tmp_path / "v", *[(name,) for name in names]), "-o", tmp_path / "out")
    assert result.exit_code == 0, result.output
    shown = result.stdout.partition("images: ")[0].splitlines()
    assert max(map(cells, shown)) <= 80
    assert sum(line.count("…") for line in shown) == 11
    assert classes(tmp_path / "out") == sorted(names)


def test_quiet_shows_no_classes(tmp_path: Path) -> None:
    """With --quiet nothing is on standard output; what was read in a special way is told."""
    source = voc(tmp_path / "v", "a  b", "c", "c")
    result = pack(source, "-o", tmp_path / "out", "-q")
    assert result.stdout == ""
    assert result.stderr.startswith("note: class names normalized")


def test_a_table_of_cats_and_dogs_has_two_classes(tmp_path: Path) -> None:
    """Only a VOC tree gets VOC's 20 classes where all names are among them; and it says so."""
    pack(
        tmp_path / "t", "--labels", table(tmp_path / "t", "cat", "dog", "cat"), "-o", tmp_path / "a"
    )
    assert classes(tmp_path / "a") == ["cat", "dog"]
    result = pack(voc(tmp_path / "v", "cat", "dog", "cat"), "-o", tmp_path / "b")
    assert classes(tmp_path / "b") == list(VOC_CLASSES)
    assert "18 of PASCAL VOC's 20 classes are in no image" in result.stdout


def test_case_stops(tmp_path: Path) -> None:
    """Person and Person stop, from a tree and from a table; each cure that is named works."""
    tree = voc(tmp_path / "v", "person", "Person", "person", "yak")
    said = refused(tmp_path / "out", tree)
    assert "'Person' (1 image, Annotations/1.xml, line 2)" in said
    assert "'person' (2 images, Annotations/0.xml, line 2)" in said
    labels = table(tmp_path / "t", "person", "Person", "yak")
    assert "'Person' (1 image" in refused(tmp_path / "out", labels.parent, "--labels", labels)

    pack(tree, "-o", tmp_path / "merged", "--merge-case")
    assert classes(tmp_path / "merged") == ["person", "yak"]
    pack(tree, "-o", tmp_path / "renamed", "--rename", "person", "Person")
    assert classes(tmp_path / "renamed") == ["Person", "yak"]
    both = tmp_path / "classes.txt"
    both.write_text("person\nPerson\nyak\n")
    pack(tree, "-o", tmp_path / "both", "--classes", both)
    assert classes(tmp_path / "both") == ["person", "Person", "yak"]


def test_accents_and_blanks_are_one_class(tmp_path: Path) -> None:
    """Composed and decomposed accents and doubled blanks are one class, with a note."""
    accents = [unicodedata.normalize(form, "café") for form in ("NFC", "NFD")]
    result = pack(voc(tmp_path / "v", *accents, "a  b", "a b"), "-o", tmp_path / "out")
    assert classes(tmp_path / "out") == ["a b", "café"]
    assert result.stderr.count("note: ") == 1
    assert "café 2" in result.stdout


@pytest.mark.parametrize("name", ["cat;dog", "cat\ndog", "path", "x" * 300])
def test_a_bad_name_names_file_and_line(tmp_path: Path, name: str) -> None:
    """What no format can hold stops before anything is written, with file and line."""
    said = refused(tmp_path / "out", voc(tmp_path / "v", "yak", ("yak", name), "yak"))
    assert f"{tmp_path / 'v'}: Annotations/1.xml, line 4: " in said
    assert "cannot be a class" in said


def test_the_rename_that_an_error_shows_works(tmp_path: Path) -> None:
    """A name that cannot be a class is packed under the name that --rename gives."""
    source = voc(tmp_path / "v", "yak", "cat;dog")
    assert "--rename 'cat;dog' NEW" in refused(tmp_path / "out", source)
    pack(source, "-o", tmp_path / "out", "--rename", "cat;dog", "pets")
    assert classes(tmp_path / "out") == ["pets", "yak"]


def test_labels_in_one_name(tmp_path: Path) -> None:
    """'cat,dog' beside 'cat' stops; a name with a comma alone is a class, with a warning."""
    said = refused(tmp_path / "out", voc(tmp_path / "v", "cat", "cat,dog", "yak"))
    assert "'cat,dog' (1 image, Annotations/1.xml, line 2)" in said
    result = pack(voc(tmp_path / "w", "tench, Tinca tinca", "yak"), "-o", tmp_path / "out")
    assert result.exit_code == 0
    assert "warning: each of these is one class: 'tench, Tinca tinca'" in result.stderr


def test_a_list_of_classes_that_lacks_some(tmp_path: Path) -> None:
    """All names that --classes lacks come in one line, with counts and places."""
    listed = tmp_path / "classes.txt"
    listed.write_text("cat\n")
    source = voc(tmp_path / "v", "cat", "emu", "yak", "emu")
    said = refused(tmp_path / "out", source, "--classes", listed)
    assert "'emu' (2 images, Annotations/1.xml, line 2), 'yak' (1 image, Annotations/2.xml" in said


def test_a_place_that_is_a_file(tmp_path: Path) -> None:
    """SHARDS inside a file is refused before the source is read."""
    (tmp_path / "file").write_text("")
    result = pack(voc(tmp_path / "v", "yak"), "-o", tmp_path / "file" / "out")
    assert result.exit_code == 2
    assert result.stdout == ""
    assert f"{tmp_path / 'file'} is a file, not a folder" in result.stderr


def test_where_no_image_can_be_used(tmp_path: Path) -> None:
    """A set without a single usable image is refused with the reasons and the first image."""
    source = voc(tmp_path / "v", "yak", "emu")
    for i in range(2):
        (source / "JPEGImages" / f"{i}.jpg").unlink()
    said = refused(tmp_path / "out", source)
    assert "no image is usable (2 missing). First: JPEGImages/0.jpg: Annotations/0.xml" in said


def test_where_no_image_has_a_label(tmp_path: Path) -> None:
    """Without any label there are no classes, unless the user names them."""
    source = voc(tmp_path / "v", (), ())
    said = refused(tmp_path / "out", source)
    assert f"{source}: none of its 2 images has a label" in said
    (tmp_path / "classes.txt").write_text("yak\n")
    result = pack(source, "-o", tmp_path / "out", "--classes", tmp_path / "classes.txt")
    assert result.exit_code == 0
    assert "images: 2 (2 without labels)" in result.stdout
