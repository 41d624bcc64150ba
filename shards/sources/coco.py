"""A folder of pictures with their labels as COCO instances."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from shards.errors import Reason, SourceError
from shards.files import read_regular
from shards.paths import relative_path
from shards.sample import AnnotatedSet, Rejection, Sample

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

Id = int | str


def read_coco(root: Path, file: Path) -> AnnotatedSet:
    """Read the labels of a plain folder of pictures from a COCO file.

    A category is present in a picture that has an annotation of it, crowds (`iscrowd`) too: they
    are there, only not told apart. A picture without annotations is a sample without labels.
    Pictures in the folder that the file does not name are left aside.

    Args:
        root: the folder that `file_name` is relative to.
        file: JSON with `images`, `annotations` and `categories`. It is read into memory whole.

    Returns:
        The set; `classes` are the categories in their order. A picture that is not there is
        rejected (MISSING).

    Raises:
        SourceError: not JSON, or not COCO's; an id, a name or a path that comes twice; an
            annotation of an image or a category that is not there; a path that leads out of
            `root`. Names the id.

    Source: https://cocodataset.org/#format-data, object detection.
    """
    content = _read_json(file)
    categories = _texts(content, "categories", "name", file)
    _refuse_twice(categories, f"{file}: categories", "name")
    paths = {
        image: _inside(root, name, f"{file}: image {image}")
        for image, name in _texts(content, "images", "file_name", file).items()
    }
    _refuse_twice(paths, f"{file}: images", "file_name")
    present = _present(content, paths, categories, file)
    samples: list[Sample] = []
    rejected: list[Rejection] = []
    for image, path in paths.items():
        if (root / path).is_file():
            samples.append(Sample(path, tuple(sorted(present.get(image, ())))))
        else:
            detail = f"named in {file.name}, image {image}; no such file"
            rejected.append(Rejection(path, Reason.MISSING, detail))
    return AnnotatedSet(
        root=root,
        samples=tuple(sorted(samples, key=lambda sample: sample.path)),
        rejected=tuple(sorted(rejected, key=lambda rejection: rejection.path)),
        classes=tuple(categories.values()),
    )


def _read_json(file: Path) -> Mapping[str, Any]:
    try:
        content = json.loads(read_regular(file))
    except (ValueError, RecursionError) as error:
        raise SourceError(f"{file}: not JSON: {error}.") from error
    if not isinstance(content, dict):
        raise SourceError(f"{file}: not COCO's JSON: the outermost value is not an object.")
    return content


def _entries(content: Mapping[str, Any], key: str, file: Path) -> list[Mapping[str, Any]]:
    """The objects of one of the three lists."""
    entries = content.get(key)
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise SourceError(f"{file}: no list of objects '{key}'; it needs COCO's instances.")
    return entries


def _id(entry: Mapping[str, Any], key: str, where: str) -> Id:
    value = entry.get(key)
    if not isinstance(value, (int, str)):
        raise SourceError(f"{where}: {key} is {value!r}, not a number or a text.")
    return value


def _texts(content: Mapping[str, Any], key: str, field: str, file: Path) -> dict[Id, str]:
    """One text of each object of a list, by the object's id."""
    texts: dict[Id, str] = {}
    for number, entry in enumerate(_entries(content, key, file)):
        one = _id(entry, "id", f"{file}: {key}[{number}]")
        text = entry.get(field)
        if not isinstance(text, str) or not text.strip():
            raise SourceError(f"{file}: {key}, id {one}: {field} is {text!r}, not a text.")
        if one in texts:
            raise SourceError(f"{file}: {key}: id {one} comes twice. Keep one.")
        texts[one] = text
    return texts


def _refuse_twice(texts: Mapping[Id, str], where: str, field: str) -> None:
    """Two objects must not have the same name."""
    first: dict[str, Id] = {}
    for one, text in texts.items():
        if text in first:
            raise SourceError(
                f"{where}: ids {first[text]} and {one} have the same {field} {text!r}. Keep one."
            )
        first[text] = one


def _inside(root: Path, name: str, where: str) -> str:
    path = relative_path(name, root)
    if path is None:
        raise SourceError(f"{where}: {name!r} is not inside {root}. Write it relative to it.")
    return path


def _present(
    content: Mapping[str, Any], images: Mapping[Id, str], categories: Mapping[Id, str], file: Path
) -> dict[Id, set[str]]:
    """The categories that each image has annotations of."""
    present: dict[Id, set[str]] = {}
    seen: set[Id] = set()
    for number, entry in enumerate(_entries(content, "annotations", file)):
        where = f"{file}: annotations[{number}]"
        if "id" in entry:
            one = _id(entry, "id", where)
            where = f"{file}: annotation {one}"
            if one in seen:
                raise SourceError(f"{where}: the id comes twice. Keep one.")
            seen.add(one)
        image, category = _id(entry, "image_id", where), _id(entry, "category_id", where)
        if image not in images:
            raise SourceError(f"{where}: no image has the id {image}.")
        if category not in categories:
            raise SourceError(f"{where}: no category has the id {category}.")
        present.setdefault(image, set()).add(categories[category])
    return present
