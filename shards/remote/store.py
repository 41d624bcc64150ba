"""Reads, lists and writes objects of storage by their URLs.

Every function tells a missing key (`FileNotFoundError`) from a storage that does not answer, denies
or is not there (`StorageError`), and has retried the latter for some seconds. All may be called
from any number of threads.
"""

from __future__ import annotations

from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, Final, cast

from shards.errors import StorageError
from shards.remote import places, web
from shards.remote.failures import UnsizedError, explained, written
from shards.remote.opening import opened
from shards.remote.pages import keys_below

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_KEYS: Final = 1000
"""Of one request to delete."""
_PART_BYTES: Final = 16 << 20
"""Of a part of an upload; 10,000 parts at most make 160 GB."""


@dataclass(frozen=True, slots=True)
class Entry:
    """An object.

    Attributes:
        name: its key relative to the URL that was listed, with '/' between folders.
        size: bytes.
        etag: changes with its contents; None if the storage has none.
    """

    name: str
    size: int
    etag: str | None


def check(url: str) -> None:
    """Ask once whether the bucket is there and the credentials are accepted.

    To be called before missing keys are taken for missing images. A key that is missing, or a
    folder, is no error.

    Raises:
        StorageError: there is no such bucket, or access is denied.
    """
    try:
        key = places.split(url)[2]
    except ValueError as error:
        raise StorageError(f"{places.redacted(url)}: {error}.") from None
    if places.scheme(url) == "hf":
        pinned(url)
        return
    if not key:
        next(listing(url), None)
        return
    try:
        read(url, 0, 1)
    except FileNotFoundError:
        return
    except StorageError as error:
        # An object without bytes has no first byte; without the permission to list, a missing key
        # is answered by "denied".
        if error.passing or places.is_http(url):
            raise
        next(listing(url), None)


def pinned(url: str) -> str:
    """Return a URL that stands for the same contents later: that of a commit for `hf://`."""
    if places.scheme(url) != "hf":
        return url
    from shards.remote import hub

    return hub.pinned(url)


def read(
    url: str, offset: int = 0, size: int = -1, *, look: Callable[[int], None] | None = None
) -> bytes:
    """Read an object, or a range of it.

    Args:
        url: its place.
        offset: first byte.
        size: number of bytes; -1: all that follow. Fewer are returned where the object ends.
        look: called with the number of bytes before they are read; what it raises ends the call.

    Raises:
        FileNotFoundError: no such key.
        StorageError: the storage does not give it.
    """
    place = opened(url)
    import obstore
    from obstore.exceptions import NotSupportedError

    if size == 0:
        return b""
    options: dict[str, Any] = {}
    if size > 0:
        options["range"] = (offset, offset + size)
    elif offset:
        options["range"] = {"offset": offset}
    try:
        with explained(url, but=NotSupportedError):
            answer = obstore.get(place.store, place.key, options=options)
    except NotSupportedError:
        return web.part(url, offset, size)
    except UnsizedError:
        from shards.remote import unsized  # Python's web client, which --help does without

        return unsized.read(url, offset, size, look=look)
    except StorageError as error:
        # A range of an object without bytes is answered by 416, whatever it asks for.
        if error.status == 416 and not offset and places.is_http(url):
            return b""
        entry = None if offset or error.status != 416 else head(url)
        if entry is None or entry.size:
            raise
        return b""
    if look is not None:
        first, end = answer.range
        look(end - first)
    with explained(url):
        return bytes(answer.bytes())


def head(url: str) -> Entry | None:
    """Return the entry of an object; None if there is none.

    Raises:
        StorageError: the storage does not tell.
    """
    if places.scheme(url) == "hf":
        return _hub_head(url)
    if places.is_http(url):
        return _web_head(url)
    place = opened(url)
    import obstore

    try:
        with explained(url):
            found = obstore.head(place.store, place.key)
    except FileNotFoundError:
        return None
    return Entry(places.name(url), int(found["size"]), found.get("e_tag"))


def _web_head(url: str) -> Entry | None:
    """Find a file without HEAD, which some servers and most signed addresses refuse."""
    try:
        return Entry(places.name(url), *web.size_and_etag(url))
    except FileNotFoundError:
        return None
    except StorageError as error:
        if error.status != 416:  # of a file without bytes
            raise
        return Entry(places.name(url), 0, None)


def _hub_head(url: str) -> Entry | None:
    """Find a file in the listing of its folder: an answer to HEAD comes from another server."""
    name = places.name(url)
    try:
        return next((entry for entry in listing(places.parent(url)) if entry.name == name), None)
    except FileNotFoundError:
        return None


def listing(url: str, after: str | None = None) -> Iterator[Entry]:
    """Yield every object below a URL, recursively, in the order of the storage.

    Never more than a thousand are in memory. Nothing is yielded for a prefix that does not exist.

    Args:
        url: a bucket or a folder in it.
        after: a name; only those behind it are listed.

    Raises:
        StorageError: no such bucket, denied, or a storage that cannot be listed (https).
    """
    if places.is_http(url):
        raise StorageError(
            f"{places.redacted(url)}: web servers cannot be listed. Name a tar, an image, or a "
            "list (.txt) of addresses."
        )
    if places.scheme(url) == "hf":
        yield from _hub_listing(url, after)
        return
    place = opened(url)
    above = f"{place.key}/" if place.key else ""
    for key, size, etag in keys_below(url, None if after is None else above + after):
        if len(key) > len(above):
            yield Entry(key[len(above) :], size, etag)


def _hub_listing(url: str, after: str | None) -> Iterator[Entry]:
    from shards.remote import hub

    key = places.split(url)[2]
    above = f"{key}/" if key else ""
    for path, size, etag in hub.files(url):
        name = path[len(above) :]
        if after is None or name > after:
            yield Entry(name, size, etag)


def put(url: str, data: bytes) -> None:
    """Write an object; one that is there is replaced, as a whole.

    Raises:
        StorageError: it cannot be written.
    """
    place = _writable(url)
    import obstore

    with written(url):
        obstore.put(place.store, place.key, data, use_multipart=False)


def put_new(url: str, data: bytes) -> bool:
    """Write an object if there is none; return whether this call made it.

    False does not prove that another process made it: an answer may have been lost, and the
    repeated request finds its own object. Compare the contents.

    Raises:
        StorageError: it cannot be written.
    """
    place = _writable(url)
    import obstore
    from obstore.exceptions import AlreadyExistsError, PreconditionError

    with written(url):
        try:
            obstore.put(place.store, place.key, data, mode="create", use_multipart=False)
        except (AlreadyExistsError, PreconditionError):
            return False
    return True


@contextmanager
def writer(url: str) -> Iterator[BinaryIO]:
    """Write an object in parts; it appears as a whole when the block ends, and not after an error.

    Raises:
        StorageError: it cannot be written.
    """
    place = _writable(url)
    from shards.remote.uploads import Upload

    with written(url):
        upload = Upload(place, url, part_bytes=_PART_BYTES)
    try:
        yield cast("BinaryIO", upload)
    except BaseException as error:
        upload.abort(error)
        raise
    with written(url):
        upload.complete()


def delete(urls: Iterable[str]) -> None:
    """Delete objects; those that are not there are no error.

    Raises:
        StorageError: they cannot be deleted.
    """
    import obstore

    waiting: dict[int, tuple[Any, str, list[str]]] = {}
    for url in urls:
        place = _writable(url)
        waiting.setdefault(id(place.store), (place.store, url, []))[2].append(place.key)
    for store, url, keys in waiting.values():
        for start in range(0, len(keys), _KEYS):
            with suppress(FileNotFoundError), explained(url):
                obstore.delete(store, keys[start : start + _KEYS])


def _writable(url: str) -> Any:
    if places.scheme(url) in ("hf", "http", "https"):
        raise StorageError(f"{places.redacted(url)}: only s3://, gs:// and az:// can be written.")
    return opened(url)
