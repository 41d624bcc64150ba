"""What a file of predictions is by its first bytes: an encoding, or something else than text."""

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING, Final

from vocscore.errors import EvalError

if TYPE_CHECKING:
    from pathlib import Path

_ENCODINGS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_OTHERS: Final = (
    (b"PK\x03\x04", "an Excel workbook or another zip archive. Save it as CSV (UTF-8)"),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook. Save it as CSV (UTF-8)"),
    (b"\x1f\x8b", "compressed with gzip. Unpack it"),
    (b"PAR1", "Parquet. Let its name end in .parquet"),
    (b"{", "JSON. Let the name of JSON lines end in .jsonl; the record of predictions is none"),
)


def encoding_of(start: bytes, file: Path) -> tuple[str, str]:
    """The encoding of a text by its byte order mark, and what is done about other bytes.

    Without a mark it is UTF-8, and the bytes of names in other encodings come through as lone
    surrogates.

    Args:
        start: the first four bytes, or fewer where there are no more.
        file: for the error.

    Raises:
        EvalError: it is no text, but a kind of file that is known.
    """
    for first, what in _OTHERS:
        if start.startswith(first):
            raise EvalError(f"{file}: {what}, or score again.")
    found = next((name for mark, name in _ENCODINGS if start.startswith(mark)), "utf-8")
    return found, "strict" if found == "utf-16" else "surrogateescape"
