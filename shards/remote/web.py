"""Web servers without ranges or HEAD: a plain GET, of which no more is read than is needed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shards.remote.failures import explained
from shards.remote.opening import opened

if TYPE_CHECKING:
    from collections.abc import Iterator


def pieces(url: str) -> Iterator[bytes]:
    """Yield the bytes of a file from its beginning, as they come.

    Raises:
        FileNotFoundError: no such file.
        StorageError: the server does not give it.
    """
    place = opened(url)
    import obstore

    with explained(url):
        stream = iter(obstore.get(place.store, place.key).stream())
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
    """Return the size of a file in bytes, and its etag, by a GET of one byte.

    Raises:
        FileNotFoundError, StorageError: as for `pieces`.
    """
    place = opened(url)
    import obstore
    from obstore.exceptions import NotSupportedError

    with explained(url):
        try:
            found = obstore.get(place.store, place.key, options={"range": (0, 1)})
        except NotSupportedError:
            found = obstore.get(place.store, place.key)
        return int(found.meta["size"]), found.meta.get("e_tag")
