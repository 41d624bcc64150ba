"""Fetches folders of object storage (models, packed shards, sets to pack) into the cache, once.

    CACHE/fetched/<hash>/NAME/...   the files
    CACHE/fetched/<hash>/complete   there when all files are

The hash is of the URL and of all names, sizes and etags: what changes in storage gets another one,
so nothing outdated is used. An interrupted fetch goes on.
"""

from __future__ import annotations

import hashlib
import tempfile
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path, PosixPath
from typing import TYPE_CHECKING, Any, Final

from shards import atomic
from shards.errors import StorageError
from shards.remote import places, store
from shards.remote.download import fetch
from vocscore import caches

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Sequence

    from shards.remote.store import Entry

    Told = Callable[[int, int], None]
    """Called with the bytes that are there, and of all."""

_FROM: Final[dict[str, str]] = {}
"""Folder of a run in the cache -> its URL."""


class FetchedRun(PosixPath):
    """The folder of a run in the cache; sent to another machine, it is fetched there."""

    __slots__ = ()

    def __reduce__(self) -> Any:
        """Send the URL; credentials are those of the machine that gets it."""
        url = _FROM.get(str(self))
        return super().__reduce__() if url is None else (local_run, (url,))


_THREADS: Final = 16
_COMPLETE: Final = "complete"
_SMALL: Final = 1 << 20
_OF_RUN: Final = ("model.json", "model.safetensors", "model.onnx")
_WITHIN_RUN: Final = "int8/"


def local_run(place: str | os.PathLike[str], *, told: Told | None = None) -> Path:
    """Return the folder of a model; that of a URL is fetched.

    Args:
        place: a path, which is returned as it is, or the URL of a run.
        told: called with the progress.

    Raises:
        StorageError: it cannot be fetched, or there is nothing.
    """
    folder = _local(place, _of_run, told)
    if not places.is_remote(str(place)):
        return folder
    _FROM[str(folder)] = str(place)
    return FetchedRun(folder)


def local_folder(place: str | os.PathLike[str], *, told: Told | None = None) -> Path:
    """Return a folder, or a file; that of a URL is fetched as a whole.

    Args, Raises: as for `local_run`.
    """
    return _local(place, lambda _entry: True, told)


def _of_run(entry: Entry) -> bool:
    """Whether scoring may read it; what training needs to go on is left out."""
    name = entry.name
    small = "/" not in name and entry.size <= _SMALL
    return name in _OF_RUN or name.startswith(_WITHIN_RUN) or small


def _local(
    place: str | os.PathLike[str], wanted: Callable[[Entry], bool], told: Told | None
) -> Path:
    url = str(place)
    if not places.is_remote(url):
        return Path(place)
    if places.has_secret(url):
        raise StorageError(f"{places.redacted(url)}: {places.REFUSED}.")
    store.check(url)
    url = store.pinned(url).rstrip("/")
    entries = [entry for entry in _entries(url) if wanted(entry)]
    if not entries:
        raise StorageError(f"{places.redacted(url)}: there is nothing. Check the URL.")
    folder = _cache() / _hash(url, entries)
    target = folder / (places.name(url) or "bucket")
    if not (folder / _COMPLETE).exists():
        _fetch_all(url, target, entries, told or (lambda _done, _all: None))
        atomic.write(folder / _COMPLETE, places.source_name(url).encode())
    return target


def _entries(url: str) -> list[Entry]:
    """The files of a folder; those of a run on a web server, which cannot be listed."""
    if not places.is_http(url):
        return list(store.listing(url))
    heads = {name: store.head(places.join(url, name)) for name in _OF_RUN}
    return [store.Entry(name, one.size, one.etag) for name, one in heads.items() if one]


def _hash(url: str, entries: Sequence[Entry]) -> str:
    lines = [places.source_name(url), *(f"{one.name}\0{one.size}\0{one.etag}" for one in entries)]
    return hashlib.sha256("\n".join(lines).encode("utf-8", "surrogateescape")).hexdigest()[:32]


def _fetch_all(url: str, target: Path, entries: Sequence[Entry], told: Told) -> None:
    whole, done = sum(entry.size for entry in entries), 0

    def fetch_one(entry: Entry) -> int:
        file = target / entry.name
        if ".." in Path(entry.name).parts or Path(entry.name).is_absolute():
            raise StorageError(f"{places.redacted(url)}: the key {entry.name!r} leads out of it.")
        if not (file.is_file() and file.stat().st_size == entry.size):
            file.parent.mkdir(parents=True, exist_ok=True)
            fetch(places.join(url, entry.name), file)
        return entry.size

    told(0, whole)
    try:
        target.mkdir(parents=True, exist_ok=True)
        with ThreadPoolExecutor(_THREADS, thread_name_prefix="vocscore-fetch") as pool:
            try:
                for size in pool.map(fetch_one, entries):
                    done += size
                    told(done, whole)
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
    except FileNotFoundError as error:
        raise StorageError(f"{error.filename}: it was removed while it was fetched.") from error
    except OSError as error:
        why = str(error.strerror or error).lower()
        raise StorageError(
            f"{places.redacted(url)}: its copy cannot be written in {target}: {why}. Set "
            "XDG_CACHE_HOME to a folder with room for it."
        ) from error


@cache
def _cache() -> Path:
    base = caches.folder()
    if base is None:
        return Path(tempfile.mkdtemp(prefix="vocscore-fetched-"))
    return base / "fetched"
