"""One annotation of PASCAL VOC: its objects' classes and whether they are 'difficult'."""

from __future__ import annotations

from functools import lru_cache
from typing import Final, NamedTuple
from xml.parsers import expat

from shards.sources.voc.xml_text import why_not_utf8, xml_text

_DIFFICULT: Final = {
    **dict.fromkeys(("", "0", "0.0", "false", "no", "unspecified"), False),
    **dict.fromkeys(("1", "1.0", "true", "yes"), True),
}
"""What programs write there, in lower case; blank and 'Unspecified' are as good as no element."""
_TOP: Final = 2
"""Depth of what stands right below <annotation>."""
_FIELDS: Final = frozenset({"name", "difficult", "deleted"})
_SHAPES: Final = frozenset({"bndbox", "robndbox", "bbox", "polygon"})
"""What outlines an object: outside of one, something is annotated that nobody would read."""
_LABELS: Final = frozenset({"name", "label", "class", "category"})
"""What names a class; right below <annotation> it is a label that nobody would read."""


class BadAnnotationError(Exception):
    """An annotation cannot be used; `str()` says why and in which line, not in which file."""


class VocObject(NamedTuple):
    """One object of an annotation.

    Attributes:
        name: its class, without blanks around it.
        difficult: whether it is marked so.
        line: where its <name> stands, counted from 1.
    """

    name: str
    difficult: bool
    line: int


def parse_objects(data: bytes) -> list[VocObject]:
    """Find the objects of one annotation.

    Tags count in any case and with any prefix of a namespace. An <object> may stand right below
    <annotation> or deeper, as in <objects>; what stands in it one level down describes it, so the
    names of its parts and of its attributes are not its own. One with <deleted>1</deleted> is none.

    Args:
        data: the XML, in UTF-8, or in the encoding that it declares and Python knows.

    Returns:
        The objects, in order. A <difficult> that is missing, blank or 'Unspecified' is False.

    Raises:
        BadAnnotationError: not well-formed, or not in its encoding; another root than
            <annotation>; a document type, which no VOC annotation has and without which no
            entity can be declared, so that a small file cannot unfold into gigabytes; an object
            without a name, with two, or inside another one; an outline or a label outside of an
            object; a <difficult> that is neither yes nor no.
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
    """The handlers of one parse; expat itself, because a tree of 20,000 files costs too much."""

    def __init__(self) -> None:
        self._objects: list[VocObject] = []
        self._depth = 0
        self._object = 0
        """Depth of the object that is open; 0 outside of objects."""
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
                if self._fields.get("deleted") != "1":  # LabelMe keeps what its user took away
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
    """A tag without its namespace's prefix, in lower case."""
    return tag.rpartition(":")[2].lower()
