"""Labels from Label Studio, written by hand as https://labelstud.io/guide/task_format has them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from shards.errors import Reason, SourceError
from shards.sources.labelstudio.read import read_labelstudio
from shards.sources.registry import SOURCES
from shards.sources.source import Request, Tree

if TYPE_CHECKING:
    from pathlib import Path

    from shards.sample import AnnotatedSet

BOX = {"height": 10.46, "rotation": 0, "width": 12.4, "x": 50.8, "y": 5.87}


def result(kind: str, *names: str, control: str = "tag", **value: Any) -> dict[str, Any]:
    """One result of an annotation."""
    return {
        "from_name": control,
        "id": "Dx_aB91ISN",
        "to_name": "img",
        "type": kind,
        "value": {**value, kind: list(names)},
    }


def annotation(*results: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """One annotation of a task."""
    return {"id": "1001", "result": list(results), "was_cancelled": False, **fields}


def task(number: int, image: str, *annotations: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """One task of the JSON export."""
    return {"id": number, "data": {"image": image}, "annotations": list(annotations), **fields}


def read(root: Path, value: object, *images: str, **options: Any) -> AnnotatedSet:
    """Read an export about some files; what is in them does not matter here."""
    for name in images:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    file = root / "project-1.json"
    file.write_bytes(value if isinstance(value, bytes) else json.dumps(value).encode())
    return read_labelstudio(root, file, **options)


def labels(found: AnnotatedSet) -> dict[str, tuple[str, ...]]:
    """The classes that are present, by path."""
    return {sample.path: sample.present for sample in found.samples}


def test_choices_and_regions(tmp_path: Path) -> None:
    """Choices and every kind of labeled region are labels; an empty annotation is none."""
    tasks = [
        task(1, "a.jpg", annotation(result("choices", "cat", "dog"))),
        task(2, "b.jpg", annotation(result("rectanglelabels", "car", **BOX))),
        task(3, "c.jpg", annotation(result("polygonlabels", "tree", points=[[1, 2]]))),
        task(4, "d.jpg", annotation(result("brushlabels", "sky", format="rle", rle=[0, 1]))),
        task(5, "e.jpg", annotation()),
        task(6, "f.jpg", annotation(result("taxonomy", ["animal", "bird"]))),  # type: ignore[arg-type]
    ]
    found = read(tmp_path, tasks, *(f"{letter}.jpg" for letter in "abcdef"))
    assert labels(found) == {
        "a.jpg": ("cat", "dog"),
        "b.jpg": ("car",),
        "c.jpg": ("tree",),
        "d.jpg": ("sky",),
        "e.jpg": (),
        "f.jpg": ("bird",),
    }
    assert (found.classes, dict(found.splits)) == (None, {})


def test_what_is_no_label(tmp_path: Path) -> None:
    """Predictions, drafts, canceled annotations and tasks without one: left out and counted."""
    cat = result("choices", "cat")
    tasks = [
        task(1, "a.jpg", annotation(cat), annotation(result("choices", "x"), was_cancelled=True)),
        task(2, "b.jpg", annotation(cat, was_cancelled=True)),
        task(3, "c.jpg", predictions=[{"result": [cat]}], drafts=[{"result": [cat]}]),
    ]
    found = read(tmp_path, tasks, "a.jpg", "b.jpg", "c.jpg")
    assert labels(found) == {"a.jpg": ("cat",)}
    (note,) = found.notes
    assert "left out: 1 task without an annotation and 1 with canceled ones only" in note
    assert note.endswith(": task 2, task 3")


def test_several_annotations(tmp_path: Path) -> None:
    """The ground truth counts alone; without one all annotations count, and a note says so."""
    cat, dog = annotation(result("choices", "cat")), annotation(result("choices", "dog"))
    tasks = [task(1, "a.jpg", cat, {**dog, "ground_truth": True}), task(2, "b.jpg", cat, dog)]
    found = read(tmp_path, tasks, "a.jpg", "b.jpg")
    assert labels(found) == {"a.jpg": ("dog",), "b.jpg": ("cat", "dog")}
    assert found.notes == (
        "project-1.json: 1 task with annotations that differ: all of them count",
    )


def test_completions_of_old_versions(tmp_path: Path) -> None:
    """Before 1.0 annotations were completions, and canceled ones skipped."""
    old = {"id": 1, "data": {"image": "a.jpg"}}
    old["completions"] = [
        {"result": [result("choices", "cat")]},
        {"result": [], "skipped": True},
    ]
    assert labels(read(tmp_path, [old], "a.jpg")) == {"a.jpg": ("cat",)}


@pytest.mark.parametrize(
    ("image", "file"),
    [
        ("/data/upload/3/8f2c1a90-cat.jpg", "cat.jpg"),
        ("/data/upload/3/8f2c1a90-cat.jpg", "images/8f2c1a90-cat.jpg"),
        ("/data/upload/3/8f2c1a90-cat.jpg", "upload/3/8f2c1a90-cat.jpg"),
        ("/data/local-files/?d=pets/my%20cat.jpg", "pets/my cat.jpg"),
        ("/data/local-files/?d=home/me/pets/cat+dog.jpg", "pets/cat+dog.jpg"),
        ("http://localhost:8080/data/local-files/?d=pets/cat.jpg", "cat.jpg"),
        ("https://example.com/some/pets/c%C3%A4t.jpg?size=large#x", "pets/cät.jpg"),
        ("s3://bucket/some/pets/cat.jpg", "pets/cat.jpg"),
        ("gs://bucket/cat.jpg", "cat.jpg"),
        ("s3://bucket/pets/cat#2?%41.jpg", "pets/cat#2?%41.jpg"),
        ("/data/upload/3/8f2c1a90-cat#2?.jpg", "cat#2?.jpg"),
        ("/data/local-files/?d=pets/cat%232%3F.jpg", "pets/cat#2?.jpg"),
        ("C:\\pets\\cat.jpg", "cat.jpg"),
        ("/home/me/pets/cat.jpg", "pets/cat.jpg"),
        ("pets/cat.jpg", "pets/cat.jpg"),
        ("pets/8f2c1a90-cat.jpg", "pets/8f2c1a90-cat.jpg"),
    ],
)
def test_names_of_images(tmp_path: Path, image: str, file: str) -> None:
    """An image is found by the longest end of its path or URL that is a file."""
    decoy = "decoy/cat.jpg" if "#" not in file else "pets/cat.jpg"
    found = read(tmp_path, [task(1, image, annotation(result("choices", "cat")))], file, decoy)
    assert labels(found) == {file: ("cat",)}


def test_a_name_never_leads_out_of_the_root(tmp_path: Path) -> None:
    """'..' in a name is dropped, so a file outside is missing and not read."""
    (tmp_path / "secret.jpg").touch()
    tasks = [
        task(1, "/data/local-files/?d=../secret.jpg", annotation()),
        task(2, "a.jpg", annotation(result("choices", "cat"))),
    ]
    found = read(tmp_path / "root", tasks, "a.jpg")
    assert labels(found) == {"a.jpg": ("cat",)}
    assert [(bad.path, bad.fault.reason) for bad in found.rejected] == [
        ("secret.jpg", Reason.MISSING)
    ]


def test_two_names_for_one_file_are_refused(tmp_path: Path) -> None:
    """Two URLs that only differ in folders that do not exist may be two images."""
    tasks = [task(n, f"s3://b/{n}/cat.jpg", annotation()) for n in (1, 2)]
    with pytest.raises(SourceError, match=r"task 2: .* both match 'cat\.jpg'"):
        read(tmp_path, tasks, "cat.jpg")


def test_one_image_in_several_tasks(tmp_path: Path) -> None:
    """The labels of all tasks of an image count, and a note says so."""
    tasks = [
        task(1, "a.jpg", annotation(result("choices", "cat"))),
        task(2, "a.jpg", annotation(result("choices", "dog"))),
    ]
    found = read(tmp_path, tasks, "a.jpg")
    assert labels(found) == {"a.jpg": ("cat", "dog")}
    assert "1 image in several tasks or annotations, 1 with different labels" in found.notes[0]


def test_choices_about_regions_are_no_labels(tmp_path: Path) -> None:
    """A choice inside of a labeled region describes the region; it and other results are named."""
    results = [
        result("rectanglelabels", "car", **BOX),
        result("choices", "occluded", control="state", **BOX),
        {"from_name": "note", "type": "textarea", "value": {"text": ["blurred"]}},
        {"type": "relation", "from_id": "a", "to_id": "b"},
    ]
    found = read(tmp_path, [task(1, "a.jpg", annotation(*results))], "a.jpg")
    assert labels(found) == {"a.jpg": ("car",)}
    (note,) = found.notes
    assert "note (textarea, 1), relation (relation, 1), state (choices, 1)" in note


def test_controls_are_named_and_can_be_chosen(tmp_path: Path) -> None:
    """Labels of several controls are named, and `controls` takes some of them."""
    results = [
        result("choices", "cat", control="animal"),
        result("choices", "sharp", control="quality"),
    ]
    tasks = [task(1, "a.jpg", annotation(*results))]
    found = read(tmp_path, tasks, "a.jpg")
    assert labels(found) == {"a.jpg": ("cat", "sharp")}
    assert found.notes == ("project-1.json: labels are those of animal, quality",)
    chosen = read(tmp_path, tasks, "a.jpg", controls=("animal",))
    assert labels(chosen) == {"a.jpg": ("cat",)}
    assert chosen.notes == ("project-1.json: ignored results: quality (choices, 1)",)
    with pytest.raises(SourceError, match="no results of x; there are those of animal, quality"):
        read(tmp_path, tasks, "a.jpg", controls=("x",))


def test_json_min(tmp_path: Path) -> None:
    """JSON-MIN: single choices are a text, several an object, regions a list."""
    meta = {"annotator": 1, "annotation_id": 3, "created_at": "2021", "lead_time": 4.2}
    records = [
        {"image": "a.jpg", "id": 1, "animal": "cat", **meta},
        {"image": "b.jpg", "id": 2, "animal": {"choices": ["cat", "dog"]}, **meta},
        {"image": "b.jpg", "id": 2, "animal": {"choices": ["cat", "dog"]}, **meta},
        {"image": "c.jpg", "id": 3, **meta},
        {"image": "d.jpg", "id": 4, "box": [{**BOX, "rectanglelabels": ["car"]}], **meta},
    ]
    found = read(tmp_path, records, "a.jpg", "b.jpg", "c.jpg", "d.jpg")
    assert labels(found) == {
        "a.jpg": ("cat",),
        "b.jpg": ("cat", "dog"),
        "c.jpg": (),
        "d.jpg": ("car",),
    }


def test_json_min_asks_which_text_is_the_label(tmp_path: Path) -> None:
    """Two fields of text and nothing else: the line names both and the option."""
    records = [{"image": "a.jpg", "id": 1, "animal": "cat", "source": "web"}]
    with pytest.raises(SourceError, match=r"may be in animal, source\. .*`label_column`"):
        read(tmp_path, records, "a.jpg")
    found = read(tmp_path, records, "a.jpg", controls=("animal",))
    assert labels(found) == {"a.jpg": ("cat",)}
    assert found.notes == ("project-1.json: ignored results: source (text, 1)",)


def test_the_field_of_the_image(tmp_path: Path) -> None:
    """Under any other name than 'image' it is the only field with names of images."""
    one = {"id": 1, "data": {"photo": "a.jpg", "text": "hello"}, "annotations": [annotation()]}
    assert labels(read(tmp_path, [one], "a.jpg")) == {"a.jpg": ()}
    two = {**one, "data": {"left": "a.jpg", "right": "b.jpg"}}
    with pytest.raises(SourceError, match=r"several fields name images \(left, right\)"):
        read(tmp_path, [two], "a.jpg", "b.jpg")


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (b"", "not JSON"),
        (b"\xff\xfe\x00", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        ({}, "not a list of tasks"),
        ([], "no task in it"),
        ([1], "not a list of tasks"),
        ([{"id": 1, "data": {"text": "hello"}}], r"no field names an image (text)"),
        ([{"id": 1, "data": {"image": ["a.jpg"]}}], "task 1: several images in one task"),
        ([{"id": 1, "data": {"image": None}}], "task 1: its field 'image' does not name"),
        ([{"data": {"image": "a.jpg"}}, {"image": "a.jpg"}], "as JSON and as JSON-MIN"),
        ([task(1, "data:image/png;base64,AAAA", annotation())], "in the export itself"),
        ([task(1, "a.jpg", 7)], "task 1: 'annotations' is not a list of annotations"),  # type: ignore[arg-type]
        ([task(1, "a.jpg", {"result": 1})], "task 1: no list 'result'"),
        ([task(1, "a.jpg", {"result": [1]})], "task 1: a result has no type"),
        ([task(1, "a.jpg", annotation(result("choices", 1)))], "a label is not text"),  # type: ignore[arg-type]
        ([task(1, "gone.jpg", annotation())], "the path matches no file"),
        ([task(1, "http://[bad", annotation())], "the path matches no file"),
        ([task(1, "\0.jpg", annotation())], "the path matches no file"),
    ],
)
def test_bad_exports(tmp_path: Path, value: object, why: str) -> None:
    """Each is one line that names the file and what is wrong."""
    with pytest.raises(SourceError) as caught:
        read(tmp_path, value, "a.jpg")
    assert str(tmp_path / "project-1.json") in str(caught.value)
    assert why in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_id_is_shown_escaped(tmp_path: Path) -> None:
    """JSON can hold halves of a character, which no terminal can print."""
    tasks = [task(1, "a.jpg", annotation()), task(2, "gone.jpg", annotation()) | {"id": "\ud800\n"}]
    (bad,) = read(tmp_path, tasks, "a.jpg").rejected
    assert bad.fault.detail.startswith(r"named in project-1.json, task '\ud800\n'")


def test_images_without_an_annotation_are_counted(tmp_path: Path) -> None:
    """Those of tasks that are left out, and those of no task."""
    read(tmp_path, [task(1, "a.jpg", annotation()), task(2, "b.jpg")], "a.jpg", "b.jpg", "c.jpg")
    found = SOURCES["labelstudio"].read(Tree(tmp_path), Request())
    wanted = "ignored, without an annotation in project-1.json: 2 images; first: b.jpg"
    assert found.notes[-1] == wanted
