r"""File names as bytes, and as text that every reader accepts.

A file name is bytes; Python represents bytes that are not UTF-8 as lone surrogates. CSV contains
the bytes themselves. JSON and Parquet contain text, where such a byte is shown as `\xe9`; a name
can also contain these four characters, so the exact bytes are in another column, `path_bytes`.
"""

from __future__ import annotations


def name_bytes(name: str) -> bytes:
    """Encode a file name; `.decode("utf-8", "surrogateescape")` reverses it."""
    try:
        return name.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # half a surrogate pair, from the JSON of another tool's shard
        return name.encode("utf-8", "surrogatepass")


def readable(name: str) -> str:
    r"""Return a name as valid text: bytes that are not UTF-8 become `\xe9`."""
    return name_bytes(name).decode("utf-8", "backslashreplace")
