"""Lists a storage page by page, and goes on where it was interrupted."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from shards.errors import StorageError
from shards.remote import patience
from shards.remote.failures import explained
from shards.remote.opening import opened

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Listed = tuple[str, int, str | None]
    """Key, size, etag."""

CHUNK: Final = 1000
"""Entries of a listing in memory: as many as one answer of the storage has."""


def keys_below(url: str, after: str | None) -> Iterator[Listed]:
    """Yield every key below a URL, in the order of the storage; those of folders are left out.

    After an error that may pass, the listing goes on behind the last key: one of many thousand
    requests is not begun again.

    Args:
        url: a bucket or a folder in it.
        after: a key; only those behind it are listed.

    Raises:
        StorageError: no such bucket, denied, or a storage that cannot be reached.
    """
    return _without_folders(_listed(url, after), lambda key: _is_object(url, key))


def _chunks_behind(url: str, key: str | None) -> Any:
    place = opened(url)
    import obstore

    with explained(url):
        return obstore.list(place.store, place.key or None, offset=key, chunk_size=CHUNK)


def _listed(url: str, after: str | None) -> Iterator[Listed]:
    from obstore.exceptions import InvalidPathError

    last, chunks, pauses = after, _chunks_behind(url, after), iter(patience.PAUSES)
    while True:
        try:
            with explained(url, but=InvalidPathError):
                chunk = next(chunks, None)
        except StorageError as error:
            pause = next(pauses, None) if error.passing and last != after else None
            if pause is None:
                raise
            time.sleep(pause)
            chunks = _chunks_behind(url, last)
            continue
        except FileNotFoundError:
            return
        except InvalidPathError:
            from shards.remote.odd_keys import keys_behind

            yield from keys_behind(url, last)
            return
        if chunk is None:
            return
        pauses = iter(patience.PAUSES)
        for meta in chunk:
            last = str(meta["path"])
            yield last, int(meta["size"]), meta.get("e_tag")


def _without_folders(
    listed: Iterator[Listed], is_object: Callable[[str], bool]
) -> Iterator[Listed]:
    """Leave out keys such as 'photos/', which consoles make for folders.

    obstore drops their '/', so one is known by what follows it. An empty 'a.jpg' that 'a.jpg/b'
    follows may be either, and is asked for.
    """
    held: Listed | None = None
    for key in listed:
        if held is not None and not _is_folder(held, key[0], is_object):
            yield held
        held = key
    if held is not None:
        yield held


def _is_folder(held: Listed, following: str, is_object: Callable[[str], bool]) -> bool:
    key, size, _ = held
    if size or not following.startswith(f"{key.rstrip('/')}/"):
        return False
    return "." not in key.rpartition("/")[2] or not is_object(key)


def _is_object(url: str, key: str) -> bool:
    place = opened(url)
    import obstore

    try:
        with explained(url):
            obstore.head(place.store, key)
    except FileNotFoundError:
        return False
    return True
