"""Parses annotations.xml of 'CVAT for images 1.1'.

Source of the format: https://docs.cvat.ai/docs/dataset_management/formats/format-cvat/ and
https://docs.cvat.ai/docs/dataset_management/formats/xml_format/, 'Annotation'.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final, NamedTuple
from xml.parsers import expat

from shards.errors import SourceError
from shards.sources.voc.xml_text import why_not_utf8, xml_text
from shards.sources.whole_file import read_whole

if TYPE_CHECKING:
    from pathlib import Path

_SHAPES: Final = frozenset(
    {"tag", "box", "polygon", "polyline", "points", "ellipse", "cuboid", "mask", "skeleton"}
)
_CURE: Final = "Export the task as 'CVAT for images 1.1'"
_TRACKS: Final = f"'CVAT for video', whose tracks name no images. {_CURE}, with its frames as files"


class CvatImage(NamedTuple):
    """One image.

    Attributes:
        name: as written.
        subset: as written; '' if the export has none.
        labels: those of its tags and shapes, each once.
        line: the line of its element, from 1.
    """

    name: str
    subset: str
    labels: frozenset[str]
    line: int


class CvatFile(NamedTuple):
    """The contents of an annotations.xml.

    Attributes:
        images: in order.
        labels: those that the task or project declares, in order; () if it declares none.
        attributes: number of attributes of shapes and tags, by name.
    """

    images: tuple[CvatImage, ...]
    labels: tuple[str, ...]
    attributes: Counter[str]


def read_annotations(file: Path) -> CvatFile:
    """Read a whole file.

    Raises:
        SourceError: it cannot be read, is not well-formed or not 'CVAT for images', declares a
            document type (without which no entity can be declared, so that a small file cannot
            expand to gigabytes), or has an image or shape without its name. Names the line.
    """
    reader = _Reader(file)
    data = read_whole(file)
    try:
        return reader.read(xml_text(data))
    except expat.ExpatError as error:
        why = f"{expat.ErrorString(error.code)}{why_not_utf8(data)}"
        raise SourceError(f"{file}, line {error.lineno}: not XML: {why}. {_CURE}.") from None
    except (LookupError, ValueError) as error:  # an encoding that Python or expat cannot read
        raise SourceError(f"{file}: {error}. {_CURE}.") from None


class _Reader:
    """The handlers of one parse; a tree of a large project would take gigabytes."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._path: list[str] = []
        self._images: list[CvatImage] = []
        self._declared: dict[str, None] = {}
        self._attributes: Counter[str] = Counter()
        self._open: CvatImage | None = None
        self._found: set[str] = set()
        self._text: list[str] = []
        self._name, self._has_parent = "", False
        self._parser = expat.ParserCreate()
        self._parser.buffer_text = True
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.StartDoctypeDeclHandler = self._refuse_doctype

    def read(self, data: bytes | str) -> CvatFile:
        """Parse the whole document."""
        self._parser.Parse(data, True)
        return CvatFile(tuple(self._images), tuple(self._declared), self._attributes)

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        above = self._path[-1] if self._path else ""
        self._path.append(tag)
        if len(self._path) == 1:
            if tag != "annotations":
                raise self._bad(f"the root is <{tag}>, not <annotations>. {_CURE}.")
        elif len(self._path) == 2:
            self._start_child(tag, attributes)
        elif self._open is not None:
            self._start_in_image(tag, above, attributes)
        elif above == "label" and tag in ("name", "parent"):
            self._text = []
            self._parser.CharacterDataHandler = self._text.append
        elif tag == "label":
            self._name, self._has_parent = "", False

    def _start_child(self, tag: str, attributes: dict[str, str]) -> None:
        if tag == "track":
            raise self._bad(f"{_TRACKS}.")
        if tag == "image":
            name = attributes.get("name", "")
            if not name.strip():
                raise self._bad("an <image> without a name. Export the task again.")
            line = self._parser.CurrentLineNumber
            self._open = CvatImage(name, attributes.get("subset", ""), frozenset(), line)
            self._found = set()

    def _start_in_image(self, tag: str, above: str, attributes: dict[str, str]) -> None:
        if tag == "attribute":
            self._attributes[attributes.get("name", "")] += 1
        elif above == "image":  # the parts of a skeleton are not objects
            if tag not in _SHAPES:
                raise self._bad(f"an unknown shape <{tag}>. {_CURE}.")
            label = attributes.get("label", "").strip()
            if not label:
                raise self._bad(f"a <{tag}> without a label. Export the task again.")
            self._found.add(label)

    def _end(self, tag: str) -> None:
        self._path.pop()
        if self._open is not None:
            if len(self._path) == 1:
                self._images.append(self._open._replace(labels=frozenset(self._found)))
                self._open = None
        elif self._parser.CharacterDataHandler is not None:
            self._parser.CharacterDataHandler = None
            text = "".join(self._text).strip()
            if tag == "name":
                self._name = text
            else:
                self._has_parent = bool(text)
        elif tag == "label" and self._name and not self._has_parent:
            self._declared[self._name] = None  # a project's tasks repeat its labels

    def _refuse_doctype(self, *_parts: object) -> None:
        raise self._bad(f"declares a document type, which could hide an entity bomb. {_CURE}.")

    def _bad(self, why: str) -> SourceError:
        return SourceError(f"{self._file}, line {self._parser.CurrentLineNumber}: {why}")
