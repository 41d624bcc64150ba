r"""Names as bytes, and as text that every reader accepts.

A file name is bytes; Python represents those that are not UTF-8 as lone surrogates. CSV has the
bytes themselves. JSON and Parquet have text: there such a byte is shown as `\xe9`, and because a
name can contain these four characters itself, the exact bytes are in another column, `path_bytes`.
"""

from __future__ import annotations


def name_bytes(name: str) -> bytes:
    """The bytes of a file name; `.decode("utf-8", "surrogateescape")` gives it back."""
    try:
        return name.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # half a surrogate pair, from the description in a foreign shard
        return name.encode("utf-8", "surrogatepass")


def readable(name: str) -> str:
    r"""A name as valid text: bytes that are not UTF-8 become `\xe9`; others are as they are."""
    return name_bytes(name).decode("utf-8", "backslashreplace")
