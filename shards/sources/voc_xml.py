"""One annotation of PASCAL VOC: its objects' classes and whether they are 'difficult'."""

from __future__ import annotations

from xml.parsers import expat

_OBJECT, _FIELD = 2, 3
"""Depth of <object> and of what describes it; a <part> has a <name> too, one level below."""
_DIFFICULT = {"0": False, "1": True}


class BadAnnotationError(Exception):
    """An annotation cannot be used; `str()` says why and in which line, not in which file."""


def parse_objects(data: bytes) -> list[tuple[str, bool]]:
    """Find the objects of one annotation.

    Args:
        data: the XML, in UTF-8, UTF-16, Latin-1 or another encoding of one byte a character.

    Returns:
        Class name and whether it is 'difficult' (0 where <difficult> is missing), of each
        <object> right below <annotation>, in order.

    Raises:
        BadAnnotationError: not well-formed; another root than <annotation>; a document type,
            which no VOC annotation has and without which no entity can be declared, so that a
            small file cannot unfold into gigabytes; an object without a name or with two; a
            <difficult> that is neither 0 nor 1.
    """
    reader = _Reader()
    try:
        return reader.read(data)
    except expat.ExpatError as error:
        why = expat.ErrorString(error.code)
        raise BadAnnotationError(f"line {error.lineno}: {why}") from None
    except (LookupError, ValueError) as error:  # an encoding that Python or expat cannot read
        raise BadAnnotationError(str(error)) from None


class _Reader:
    """The handlers of one parse; expat itself, because a tree of 20,000 files costs too much."""

    def __init__(self) -> None:
        self._objects: list[tuple[str, bool]] = []
        self._depth = 0
        self._fields: dict[str, str] | None = None
        """Of the object that is open; None outside of objects."""
        self._text: list[str] = []
        self._parser = expat.ParserCreate()
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.StartDoctypeDeclHandler = self._refuse_doctype

    def read(self, data: bytes) -> list[tuple[str, bool]]:
        """Parse the whole document."""
        self._parser.Parse(data, True)
        return self._objects

    def _start(self, tag: str, _attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth == 1 and tag != "annotation":
            raise self._bad(f"the root is <{tag}>, not <annotation>")
        if self._depth == _OBJECT and tag == "object":
            self._fields = {}
        elif self._depth == _FIELD and self._fields is not None and tag in {"name", "difficult"}:
            if tag in self._fields:
                raise self._bad(f"an object with two <{tag}>")
            self._text = []
            # Only here, so that the blanks between elements never reach Python.
            self._parser.CharacterDataHandler = self._text.append

    def _end(self, tag: str) -> None:
        if self._fields is not None:
            if self._depth == _FIELD and self._parser.CharacterDataHandler is not None:
                self._parser.CharacterDataHandler = None
                self._fields[tag] = "".join(self._text).strip()
            elif self._depth == _OBJECT:
                self._objects.append(self._object(self._fields))
                self._fields = None
        self._depth -= 1

    def _object(self, fields: dict[str, str]) -> tuple[str, bool]:
        if not fields.get("name"):
            raise self._bad("an object without a <name>")
        difficult = _DIFFICULT.get(fields.get("difficult", "0"))
        if difficult is None:
            raise self._bad(f"<difficult> is {fields['difficult']!r}, not 0 or 1")
        return fields["name"], difficult

    def _refuse_doctype(self, *_parts: object) -> None:
        raise self._bad("declares a document type, which could hide an entity bomb")

    def _bad(self, why: str) -> BadAnnotationError:
        return BadAnnotationError(f"line {self._parser.CurrentLineNumber}: {why}")
