"""XML as expat can read it: encodings that Python knows by name and expat does not."""

from __future__ import annotations

import codecs
import re
from typing import Final

_DECLARED: Final = re.compile(rb"""<\?xml\s[^>]*?\bencoding\s*=\s*["']([^"'>]*)["']""")
_EXPAT_KNOWS: Final = frozenset({b"UTF-8", b"ISO-8859-1", b"US-ASCII"})
_SUPERSETS: Final = {"gb2312": "gb18030", "gbk": "gb18030"}
"""Files that declare the small set are written with letters of the large one."""
_MARKS: Final = (
    (codecs.BOM_UTF32_LE, "utf-32"),  # begins with the mark of UTF-16
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
    (b"<\0", "utf-16-le"),
    (b"\0<", "utf-16-be"),
)


def xml_text(data: bytes) -> bytes | str:
    """Decode a document that expat could not, or not rightly; hand on any other as it is.

    `encoding='utf8'`, as xml.etree writes it, and every other name that Python has for an encoding
    are read; so is a document of single bytes that declares UTF-16, as .NET writes it: UTF-8.

    Args:
        data: the document.

    Returns:
        The text, whose declared encoding no longer counts, or `data`.

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
    if name.startswith(("utf-16", "utf-32")):  # it was read byte by byte up to here
        return "utf-8"
    return _SUPERSETS.get(name, name)


def why_not_utf8(data: bytes) -> str:
    """What to add to an error in a document that is to be UTF-8 and is not; '' for any other."""
    match = _DECLARED.match(data)
    if match is not None and match[1].upper() != b"UTF-8":
        return ""
    try:
        data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        return f" (not UTF-8 at byte {error.start})"
    return ""
