"""Reads one COCO file: its images, its categories, and the categories of each image."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from reprlib import Repr
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from shards.errors import SourceError
from shards.paths import shown
from shards.sources.whole_file import read_whole

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

Id = int | str
Entry = Mapping[str, Any]

_short = Repr()
_short.maxstring = 100
_NUMBER: Final = re.compile(r"\s*([+-]?\d{1,18})(\.0+)?\s*")
_COCO: Final = "COCO's instances (an object with 'images', 'annotations' and 'categories')"
_OTHERS: Final = (
    ("shapes", "LabelMe's format"),
    ("_via_img_metadata", "a VGG Image Annotator project"),
    ("items", "Datumaro's format"),
    ("features", "GeoJSON"),
    ("versions", "a list of another tool"),
)
"""Top-level keys that identify files of other tools."""


class Image(NamedTuple):
    """One image of the file; `where` is its name in messages."""

    id: Id
    name: str
    where: str


class Category(NamedTuple):
    """One category; `parent` is its supercategory, '' if it has none."""

    id: Id
    name: str
    parent: str


class Instances(NamedTuple):
    """The contents of one file.

    Attributes:
        file: the file.
        images: in order; each id once.
        categories: in order, names stripped; each id once.
        present: image id -> category ids, for images with annotations.
        repeated: number of annotations whose id repeats an earlier one.
    """

    file: Path
    images: Sequence[Image]
    categories: Sequence[Category]
    present: Mapping[Id, set[Id]]
    repeated: int

    def heads(self) -> list[Category]:
        """Categories that only group the others, such as the first one in Roboflow's exports.

        Such a category has supercategory 'none', is the supercategory of others, and has no
        annotations.
        """
        used: set[Id] = set().union(*self.present.values())
        parents = {one.parent for one in self.categories}
        return [
            one
            for one in self.categories
            if one.parent.casefold() == "none" and one.name in parents and one.id not in used
        ]


class _ById:
    """Ids of one list. A number and a string with the same digits match, unless both occur."""

    def __init__(self, ids: Iterable[Id]) -> None:
        self._exact = set(ids)
        self._loose: dict[int, list[Id]] = {}
        for one in self._exact:
            if (number := _number(one)) is not None:
                self._loose.setdefault(number, []).append(one)

    def find(self, wanted: Id) -> Id | None:
        """The id as written in the list; None if it has none, or if several match."""
        number = _number(wanted)
        if wanted in self._exact or number is None:
            return wanted if wanted in self._exact else None
        near = self._loose.get(number, [])
        same = [one for one in (number, str(number)) if one in self._exact]
        return same[0] if same else near[0] if len(near) == 1 else None


def read_instances(file: Path) -> Instances:
    """Read a whole COCO file.

    Raises:
        SourceError: not JSON, or not COCO's instances; a duplicate id of an image or category;
            an annotation of an unknown image or category. Names the id and what to do.
    """
    content = _read_json(file)
    images = list(_images(content, file))
    categories = list(_categories(content, file))
    for key, found in (("images", images), ("categories", categories)):
        if not found:
            raise SourceError(f"{file}: the list '{key}' is empty. Export the set again.")
    present, repeated = _present(content, images, categories, file)
    return Instances(file, images, categories, present, repeated)


def _read_json(file: Path) -> Entry:
    data = read_whole(file)
    try:
        content = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise SourceError(f"{file}: not JSON: {error}.{_other_data(data)}") from error
    if not isinstance(content, dict):
        raise SourceError(f"{file}: not {_COCO}, but {_other_list(content)}.")
    for key, kind in _OTHERS:
        if key in content and "images" not in content:
            raise SourceError(f"{file}: not {_COCO}, but {kind}. Export it as COCO.")
    return content


def _other_data(data: bytes) -> str:
    """What the file is instead, if its first bytes show it."""
    if data.lstrip(b"\xef\xbb\xbf \r\n\t").startswith(b"<"):
        return " It is XML: export it as COCO."
    if data.startswith((b"PK\x03\x04", b"\x1f\x8b")):
        return " It is an archive: unpack it."
    first = data.split(b"\n", 1)[0]
    if first[:1].isalpha() and any(mark in first for mark in (b",", b";", b"\t")):
        return " It looks like a table: use `labels`."
    return ""


def _other_list(content: object) -> str:
    """What the top-level value is instead of an object."""
    if not isinstance(content, list):
        return "a single value"
    keys = set(content[0]) if content and isinstance(content[0], dict) else set()
    if {"image_id", "category_id"} <= keys:
        return "a list of detections or annotations. Give the file that they refer to"
    if keys & {"data", "result", "completions", "annotations"}:
        return "a list as Label Studio exports it. Export it as COCO"
    return "a list. Export it as COCO"


def _entries(content: Entry, key: str, file: Path) -> list[Entry]:
    """The objects of one of the three lists."""
    entries = content.get(key)
    if entries is None and key == "annotations":
        raise SourceError(
            f"{file}: no 'annotations', so its images have no labels (a test-info file?). Give a "
            "file with labels, or omit this one."
        )
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise SourceError(f"{file}: not {_COCO}: no list of objects '{key}'.")
    return entries


def _id(entry: Entry, key: str, where: str) -> Id:
    value = entry.get(key)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        raise SourceError(
            f"{where}: {key} is {_short.repr(value)}, not a number or text. Correct it."
        )
    return value


def _number(one: Id) -> int | None:
    if isinstance(one, int):
        return one
    match = _NUMBER.fullmatch(one)
    return int(match[1]) if match else None


def _text(entry: Entry, field: str, where: str) -> str:
    text = entry.get(field)
    if not isinstance(text, str) or not text.strip():
        raise SourceError(f"{where}: {field} is {_short.repr(text)}, not text. Correct it.")
    return text


def _images(content: Entry, file: Path) -> Iterator[Image]:
    """The images; a repeated id is accepted if the name is the same."""
    names: dict[Id, str] = {}
    for number, entry in enumerate(_entries(content, "images", file)):
        one = _id(entry, "id", f"{file}: images[{number}]")
        where = f"{file}: images, id {shown(str(one))}"
        if "file_name" not in entry and (url := entry.get("coco_url") or entry.get("flickr_url")):
            last = str(url).rpartition("/")[2]
            raise SourceError(
                f"{where}: no file_name, only the URL {_short.repr(url)}. Download the image "
                f"and set file_name, for example to {_short.repr(last)}."
            )
        name = _text(entry, "file_name", where)
        if names.setdefault(one, name) != name:
            raise SourceError(f"{file}: images: id {shown(str(one))} appears twice. Keep one.")
        yield Image(one, name, f"image {shown(str(one))}")


def _categories(content: Entry, file: Path) -> Iterator[Category]:
    names: dict[Id, str] = {}
    for number, entry in enumerate(_entries(content, "categories", file)):
        one = _id(entry, "id", f"{file}: categories[{number}]")
        name = _text(entry, "name", f"{file}: categories, id {shown(str(one))}").strip()
        if one in names:
            if names[one] == name:
                continue
            raise SourceError(f"{file}: categories: id {shown(str(one))} appears twice. Keep one.")
        names[one] = name
        yield Category(one, name, str(entry.get("supercategory") or "").strip())


def _present(
    content: Entry, images: Sequence[Image], categories: Sequence[Category], file: Path
) -> tuple[dict[Id, set[Id]], int]:
    """The categories of each image's annotations, and the number of repeated ids."""
    image_ids, category_ids = _ById(one.id for one in images), _ById(one.id for one in categories)
    present: dict[Id, set[Id]] = {}
    seen: set[Any] = set()
    repeated = 0
    for number, entry in enumerate(_entries(content, "annotations", file)):
        one = entry.get("id")
        known = isinstance(one, (int, float, str))
        where = (
            f"{file}: annotation {shown(str(one))}" if known else f"{file}: annotations[{number}]"
        )
        if known:
            repeated += one in seen
            seen.add(one)
        if "category_id" not in entry and {"caption", "segments_info"} & entry.keys():
            raise SourceError(f"{file}: captions or panoptic segments, not {_COCO}.")
        wanted_image = _id(entry, "image_id", where)
        wanted_category = _id(entry, "category_id", where)
        image, category = image_ids.find(wanted_image), category_ids.find(wanted_category)
        if image is None:
            raise SourceError(f"{where}: no image has the id {wanted_image!r}. Correct it.")
        if category is None:
            raise SourceError(f"{where}: no category has the id {wanted_category!r}. Correct it.")
        present.setdefault(image, set()).add(category)
    return present, repeated
