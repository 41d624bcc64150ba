"""Parses one PASCAL VOC annotation: its objects' classes and whether they are 'difficult'."""

from __future__ import annotations

from functools import lru_cache
from typing import Final, NamedTuple
from xml.parsers import expat

from shards.sources.voc.xml_text import why_not_utf8, xml_text

_DIFFICULT: Final = {
    **dict.fromkeys(("", "0", "0.0", "false", "no", "unspecified"), False),
    **dict.fromkeys(("1", "1.0", "true", "yes"), True),
}
"""Values that programs write, lower case; blank and 'Unspecified' count as no element."""
_TOP: Final = 2
"""Depth of the children of <annotation>."""
_FIELDS: Final = frozenset({"name", "difficult", "deleted"})
_SHAPES: Final = frozenset({"bndbox", "robndbox", "bbox", "polygon"})
"""Outlines of objects; outside of an object, an annotation would be lost silently."""
_LABELS: Final = frozenset({"name", "label", "class", "category"})
"""Names of classes; as a child of <annotation>, a label would be lost silently."""


class BadAnnotationError(Exception):
    """An annotation cannot be used; `str()` gives the reason and the line, but not the file."""


class VocObject(NamedTuple):
    """One object of an annotation.

    Attributes:
        name: its class, stripped.
        difficult: whether it is marked as difficult.
        line: the line of its <name>, from 1.
    """

    name: str
    difficult: bool
    line: int


def parse_objects(data: bytes) -> list[VocObject]:
    """Find the objects of one annotation.

    Tags match in any case and with any namespace prefix. An <object> may be a child of
    <annotation> or deeper, as in <objects>; only its own children describe it, so the names of
    its parts and attributes are not its own. Objects with <deleted>1</deleted> are ignored.

    Args:
        data: the XML, in UTF-8 or in a declared encoding that Python knows.

    Returns:
        The objects, in order. A <difficult> that is missing, blank or 'Unspecified' is False.

    Raises:
        BadAnnotationError: not well-formed, or not in its encoding; a root other than
            <annotation>; a document type, which no VOC annotation has and without which no
            entity can be declared, so that a small file cannot expand to gigabytes; an object
            with no name, with two names, or inside another object; an outline or a label outside
            of an object; a <difficult> that is neither yes nor no.
    """
    reader = _Reader()
    try:
        return reader.read(xml_text(data))
    except expat.ExpatError as error:
        why = f"{expat.ErrorString(error.code)}{why_not_utf8(data)}"
        raise BadAnnotationError(f"line {error.lineno}: {why}") from None
    except (LookupError, ValueError) as error:  # an encoding that Python or expat cannot read
        raise BadAnnotationError(str(error)) from None


class _Reader:
    """The handlers of one parse; uses expat directly, as trees are too slow for 20,000 files."""

    def __init__(self) -> None:
        self._objects: list[VocObject] = []
        self._depth = 0
        self._object = 0
        """Depth of the open object; 0 outside of objects."""
        self._fields: dict[str, str] = {}
        self._line = 0
        self._text: list[str] = []
        self._parser = expat.ParserCreate()
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.StartDoctypeDeclHandler = self._refuse_doctype

    def read(self, data: bytes | str) -> list[VocObject]:
        """Parse the whole document."""
        self._parser.Parse(data, True)
        return self._objects

    def _start(self, tag: str, _attributes: dict[str, str]) -> None:
        self._depth += 1
        kind = _kind(tag)
        if self._depth == 1:
            if kind != "annotation":
                raise self._bad(f"the root is <{tag}>, not <annotation>")
        elif kind == "object":
            if self._object:
                raise self._bad(f"an <{tag}> inside another one")
            self._object, self._fields = self._depth, {}
        elif not self._object:
            if kind in _SHAPES or (self._depth == _TOP and kind in _LABELS):
                raise self._bad(f"a <{tag}> outside of any <object>")
        elif kind in _FIELDS and self._depth == self._object + 1:
            self._open_field(kind)

    def _open_field(self, kind: str) -> None:
        if kind in self._fields:
            raise self._bad(f"an object with two <{kind}>")
        if kind == "name":
            self._line = self._parser.CurrentLineNumber
        self._text = []
        # Only here, so that the blanks between elements never reach Python.
        self._parser.CharacterDataHandler = self._text.append

    def _end(self, tag: str) -> None:
        if self._object:
            if self._depth == self._object + 1 and self._parser.CharacterDataHandler is not None:
                self._parser.CharacterDataHandler = None
                self._fields[_kind(tag)] = "".join(self._text).strip()
            elif self._depth == self._object:
                if self._fields.get("deleted") != "1":  # LabelMe keeps deleted objects
                    self._objects.append(self._described(self._fields))
                self._object = 0
        self._depth -= 1

    def _described(self, fields: dict[str, str]) -> VocObject:
        if not fields.get("name"):
            raise self._bad("an object without a <name>")
        difficult = _DIFFICULT.get(fields.get("difficult", "").lower())
        if difficult is None:
            raise self._bad(f"<difficult> is {fields['difficult']!r}, not 0 or 1")
        return VocObject(fields["name"], difficult, self._line)

    def _refuse_doctype(self, *_parts: object) -> None:
        raise self._bad("declares a document type, which could hide an entity bomb")

    def _bad(self, why: str) -> BadAnnotationError:
        return BadAnnotationError(f"line {self._parser.CurrentLineNumber}: {why}")


@lru_cache(maxsize=256)
def _kind(tag: str) -> str:
    """A tag without its namespace prefix, in lower case."""
    return tag.rpartition(":")[2].lower()
