"""Decodes XML for expat, in encodings that Python knows by name and expat does not."""

from __future__ import annotations

import codecs
import re
from typing import Final

_DECLARED: Final = re.compile(rb"""<\?xml\s[^>]*?\bencoding\s*=\s*["']([^"'>]*)["']""")
_EXPAT_KNOWS: Final = frozenset({b"UTF-8", b"ISO-8859-1", b"US-ASCII"})
_SUPERSETS: Final = {"gb2312": "gb18030", "gbk": "gb18030"}
"""Files that declare the subset often use characters of the superset."""
_MARKS: Final = (
    (codecs.BOM_UTF32_LE, "utf-32"),  # first, because it begins with UTF-16's mark
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
    (b"<\0", "utf-16-le"),
    (b"\0<", "utf-16-be"),
)


def xml_text(data: bytes) -> bytes | str:
    """Decode a document that expat would not decode correctly; return any other unchanged.

    `encoding='utf8'`, as xml.etree writes it, and every other encoding name known to Python are
    supported; a document that declares UTF-16 but is not UTF-16, as .NET writes it, is UTF-8.

    Args:
        data: the document.

    Returns:
        The text, whose declared encoding no longer applies, or `data`.

    Raises:
        LookupError: the declared encoding is unknown.
        ValueError: the document is not in its encoding.
    """
    for mark, codec in _MARKS:
        if data.startswith(mark):
            return data.decode(codec)
    marked = data.startswith(codecs.BOM_UTF8)
    match = _DECLARED.match(data, 3 if marked else 0)
    if match is None or match[1].upper() == b"UTF-8":
        return data
    if marked:
        return data.decode("utf-8-sig")
    if match[1].upper() in _EXPAT_KNOWS:
        return data
    return data.decode(_codec(match[1].decode("ascii", "replace")))


def _codec(declared: str) -> str:
    """Python's name of an encoding.

    Raises:
        LookupError: it is unknown.
    """
    try:
        name = codecs.lookup(declared.strip()).name
    except LookupError:
        raise LookupError(f"unknown encoding: {declared}") from None
    if name.startswith(("utf-16", "utf-32")):  # the declaration itself was in single bytes
        return "utf-8"
    return _SUPERSETS.get(name, name)


def why_not_utf8(data: bytes) -> str:
    """A suffix for the error if a document should be UTF-8 but is not; '' otherwise."""
    match = _DECLARED.match(data)
    if match is not None and match[1].upper() != b"UTF-8":
        return ""
    try:
        data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        return f" (not UTF-8 at byte {error.start})"
    return ""
