"""Fetches a whole object to a local file: in large ranges, several at a time."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from shards.errors import StorageError
from shards.remote import web
from shards.remote.failures import UnsizedError, explained
from shards.remote.opening import opened
from shards.remote.patience import patiently
from shards.remote.places import redacted

if TYPE_CHECKING:
    from collections.abc import Callable

_RANGE_BYTES: Final = 8 << 20
"""Large enough that the time to the first byte does not count, small enough for a retry."""
_THREADS: Final = 4


def fetch(
    url: str,
    file: str | os.PathLike[str],
    *,
    etag: str | None = None,
    on_bytes: Callable[[int], None] | None = None,
) -> int:
    """Copy an object to a file, which appears when it is complete.

    Args:
        url: the object.
        file: is replaced if it is there; its folder exists.
        etag: of its entry in a listing; None: whatever is there now.
        on_bytes: called with the number of bytes of each range that has come, from any thread.

    Returns:
        Its size in bytes.

    Raises:
        FileNotFoundError: no such key.
        StorageError: the storage does not give it, it changed in the meantime, or a web server
            answers with a page.
        OSError: the file cannot be written.
    """
    told = on_bytes or (lambda _count: None)
    target = Path(file)
    # Without the file's own name, which may be as long as a name can be.
    partial = target.with_name(f".{os.getpid()}-{threading.get_ident()}.partial")
    try:
        with partial.open("w+b") as out:
            size = _copy(url, out.fileno(), told, etag)
            web.refuse_page(url, os.pread(out.fileno(), web.HEAD_BYTES, 0))
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
    return size


def _copy(url: str, descriptor: int, told: Callable[[int], None], etag: str | None) -> int:
    from obstore.exceptions import NotSupportedError

    try:
        first, size, etag = patiently(lambda: _range(url, 0, etag))
    except (NotSupportedError, UnsizedError):
        return patiently(lambda: _copy_whole(url, descriptor, told))
    _write(descriptor, first, 0)
    told(len(first))

    def copy(start: int) -> None:
        data, whole, _ = patiently(lambda: _range(url, start, etag))
        if whole != size or len(data) != min(_RANGE_BYTES, size - start):
            raise _changed(url)
        _write(descriptor, data, start)
        told(len(data))

    starts = range(_RANGE_BYTES, size, _RANGE_BYTES)
    if starts:
        with ThreadPoolExecutor(_THREADS, thread_name_prefix="vocscore-fetch") as pool:
            copies = [pool.submit(copy, start) for start in starts]
            try:
                for one in copies:
                    one.result()
            finally:  # after an error the others are not begun
                for one in copies:
                    one.cancel()
    return size


def _copy_whole(url: str, descriptor: int, told: Callable[[int], None]) -> int:
    """Copy from a server without ranges, by one request."""
    os.ftruncate(descriptor, 0)
    size = 0
    for piece in web.pieces(url):
        _write(descriptor, piece, size)
        told(len(piece))
        size += len(piece)
    return size


def _range(url: str, start: int, etag: str | None) -> tuple[bytes, int, str | None]:
    """Return some bytes, the size of the whole object, and its etag."""
    place = opened(url)
    import obstore
    from obstore.exceptions import NotSupportedError, PreconditionError

    options: dict[str, Any] = {"range": (start, start + _RANGE_BYTES)}
    if etag is not None:
        options["if_match"] = etag
    try:
        with explained(url, but=NotSupportedError):
            try:
                answer = obstore.get(place.store, place.key, options=options)
            except PreconditionError:
                raise _changed(url) from None
            return bytes(answer.bytes()), int(answer.meta["size"]), answer.meta.get("e_tag")
    except StorageError as error:
        if start or error.status != 416:
            raise
    with explained(url):
        answer = obstore.get(place.store, place.key)  # it has no bytes
        return bytes(answer.bytes()), int(answer.meta["size"]), answer.meta.get("e_tag")


def _changed(url: str) -> StorageError:
    return StorageError(
        f"{redacted(url)}: it has changed since it was listed, or while it was read. Rerun the "
        "same command when it is complete; a run that has begun, with `overwrite=True`."
    )


def _write(descriptor: int, data: bytes, start: int) -> None:
    view = memoryview(data)
    while view:
        done = os.pwrite(descriptor, view, start)
        view, start = view[done:], start + done
