"""Web servers without ranges or HEAD: a plain GET, of which no more is read than is needed.

They also answer with pages: for a login, or about a file, where the file itself was asked for.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from shards.errors import StorageError
from shards.remote.failures import UnsizedError, explained
from shards.remote.opening import opened
from shards.remote.places import is_http, redacted

if TYPE_CHECKING:
    from collections.abc import Iterator

HEAD_BYTES: Final = 512
_PAGE: Final = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*(?:(?:<!--.*?-->|<\?xml.*?\?>)\s*)*<(?:!doctype\s+html|html|head|body)\b",
    re.IGNORECASE | re.DOTALL,
)


def refuse_page(url: str, head: bytes) -> None:
    """Refuse a page in place of a file; elsewhere than on the web, a file may be one.

    Args:
        url: what was asked for.
        head: its first `HEAD_BYTES`.

    Raises:
        StorageError: it is one.
    """
    if is_http(url) and _PAGE.match(head):
        raise StorageError(
            f"{redacted(url)}: the server answers with a web page, perhaps for a login, instead of "
            "the file. Name the address of the file itself, or download it."
        )


def pieces(url: str) -> Iterator[bytes]:
    """Yield the bytes of a file from its beginning, as they come.

    Raises:
        FileNotFoundError: no such file.
        StorageError: the server does not give it.
    """
    place = opened(url)
    import obstore

    try:
        with explained(url):
            stream = iter(obstore.get(place.store, place.key).stream())
    except UnsizedError:
        from shards.remote import unsized  # Python's web client, which --help does without

        yield from unsized.pieces(url)
        return
    while True:
        with explained(url):
            piece = next(stream, None)
        if piece is None:
            return
        yield bytes(piece)


def part(url: str, offset: int, size: int) -> bytes:
    """Return a part of a file; the bytes before it are read and dropped.

    Args:
        url: the file.
        offset: first byte.
        size: number of bytes; -1: all that follow.

    Raises:
        FileNotFoundError, StorageError: as for `pieces`.
    """
    data = b""
    for piece in pieces(url):
        data += piece
        if 0 <= size <= len(data) - offset:
            break
    return data[offset:] if size < 0 else data[offset : offset + size]


def size_and_etag(url: str) -> tuple[int, str | None]:
    """Return the size of a file in bytes, and its etag, by a GET of one byte if possible.

    Raises:
        FileNotFoundError, StorageError: as for `pieces`.
    """
    place = opened(url)
    import obstore
    from obstore.exceptions import NotSupportedError

    try:
        with explained(url):
            try:
                found = obstore.get(place.store, place.key, options={"range": (0, 1)})
            except NotSupportedError:
                found = obstore.get(place.store, place.key)
            return int(found.meta["size"]), found.meta.get("e_tag")
    except UnsizedError:
        from shards.remote import unsized  # as above

        return unsized.size_and_etag(url)
