"""Fetches what commands read from object storage (models, sets, predictions) into the cache, once.

    CACHE/fetched/<hash>/NAME/...   the files
    CACHE/fetched/<hash>/complete   there when all files are

The hash is of the URL and of all names, sizes and etags: what changes in storage gets another one,
so nothing outdated is used. An interrupted fetch goes on.
"""

from __future__ import annotations

import hashlib
import shlex
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cache
from itertools import takewhile
from pathlib import Path, PosixPath
from typing import TYPE_CHECKING, Any, Final

from shards import atomic
from shards.errors import StorageError
from shards.remote import places, store
from shards.remote.download import fetch
from vocscore import caches

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from shards.remote.store import Entry

    Told = Callable[[int, int], None]
    """Called with the bytes that are there, and of all."""

_FROM: Final[dict[str, str]] = {}
"""What was fetched, by its path in the cache -> its URL."""


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
_SIGNS_OF_RUN: Final = ("model.json", "config.json")
_RECORD: Final = ".json"
_PARTS: Final = ".parts"
"""Ends of the names beside predictions: of their record, and of the parts of an unfinished run."""


def local_run(place: str | os.PathLike[str], *, told: Told | None = None) -> Path:
    """Return the folder of a model; that of a URL is fetched.

    Args:
        place: a path, which is returned as it is, or the URL of a run.
        told: called with the progress.

    Raises:
        StorageError: it cannot be fetched, or there is nothing.
    """
    folder = _local(place, _of_run, told)
    return FetchedRun(folder) if places.is_remote(str(place)) else folder


def local_predictions(place: str | os.PathLike[str], *, told: Told | None = None) -> Path:
    """Return predictions; those of a URL are fetched, with the record beside them.

    Args, Raises: as for `local_run`.
    """
    url = str(place).rstrip("/")
    if not places.is_remote(url):
        return Path(place)
    url = _checked(url)
    above, name = places.parent(url), places.name(url)
    if not name:
        raise StorageError(f"{url}: a bucket. Name predictions in it.")
    entries = _of_predictions(above, name)
    if not entries:
        raise StorageError(f"{url}: nothing that vocscore writes. Check the URL.")
    file = _fetched(above, entries, "predictions", told) / name
    _FROM[str(file)] = str(place)
    return file


def local_results(place: str | os.PathLike[str], *, told: Told | None = None) -> Path:
    """Return anything that vocscore writes: predictions, a run, packed shards, an exported model.

    Args, Raises: as for `local_run`.
    """
    url = str(place).rstrip("/")
    if not places.is_remote(url):
        return Path(place)
    url = _checked(url)
    if any(_those_there(url, _SIGNS_OF_RUN)):
        return local_run(url, told=told)
    from shards.manifest import NAME as MANIFEST  # loads NumPy, which --help does without

    if places.is_http(url) or not any(_those_there(url, [MANIFEST])):
        return local_predictions(url, told=told)
    return local_folder(url, told=told)


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
    if not places.is_remote(str(place)):
        return Path(place)
    url = _checked(str(place))
    entries = [entry for entry in _entries(url) if wanted(entry)]
    if not entries:
        raise StorageError(f"{places.redacted(url)}: there is nothing. Check the URL.")
    folder = _fetched(url, entries, places.name(url) or "bucket", told)
    _FROM[str(folder)] = str(place)
    return folder


def named_by(path: Path) -> str:
    """Return the URL of what was fetched, for commands that also run elsewhere; else the path."""
    return _FROM.get(str(path), str(path))


def _checked(url: str) -> str:
    """Return a URL that stands for the same contents later.

    Raises:
        StorageError: it has a secret in it, its bucket is not there, or access is denied.
    """
    if places.has_secret(url):
        raise StorageError(f"{places.redacted(url)}: {places.REFUSED}.")
    store.check(url)
    return store.pinned(url).rstrip("/")


def _fetched(url: str, entries: Sequence[Entry], name: str, told: Told | None) -> Path:
    """Return the folder `name` in the cache, with the entries; they are fetched if need be."""
    folder = _cache() / _hash(url, entries)
    target = folder / name
    if not (folder / _COMPLETE).exists():
        _fetch_all(url, target, entries, told or (lambda _done, _all: None))
        atomic.write(folder / _COMPLETE, places.source_name(url).encode())
    return target


def _entries(url: str) -> list[Entry]:
    """The files of a folder; those of a run on a web server, which cannot be listed."""
    if not places.is_http(url):
        return list(store.listing(url))
    return list(_those_there(url, _OF_RUN))


def _those_there(url: str, names: Iterable[str]) -> Iterator[Entry]:
    heads = ((name, store.head(places.join(url, name))) for name in names)
    return (store.Entry(name, one.size, one.etag) for name, one in heads if one)


def _parts(url: str) -> Iterator[Entry]:
    """The parts in a folder; nothing if it begins with something else, such as a set of images."""
    return takewhile(lambda one: one.name.startswith("part-"), store.listing(url))


def _of_predictions(above: str, name: str) -> list[Entry]:
    """A file, or a folder of parts, and the record beside it.

    Raises:
        StorageError: there is an unfinished run.
    """
    found = list(_those_there(above, [name]))
    url = places.join(above, name)
    if not found and not places.is_http(url):
        found = [replace(part, name=f"{name}/{part.name}") for part in _parts(url)]
        parts = places.join(above, f"{name}{_PARTS}")
        if not found and next(store.listing(parts), None) is not None:
            raise StorageError(
                f"{url}: an unfinished run. Rerun its command to finish it, or with "
                f"`units`: vocscore merge {shlex.quote(url)}"
            )
    return [*found, *_those_there(above, [f"{name}{_RECORD}"])] if found else []


def _hash(url: str, entries: Sequence[Entry]) -> str:
    lines = [places.source_name(url), *(f"{one.name}\0{one.size}\0{one.etag}" for one in entries)]
    return hashlib.sha256("\n".join(lines).encode("utf-8", "surrogateescape")).hexdigest()[:32]


def _fetch_all(url: str, target: Path, entries: Sequence[Entry], told: Told) -> None:
    whole, done = sum(entry.size for entry in entries), 0
    is_s3 = places.scheme(url) == "s3"  # of other storages it was not tried

    def fetch_one(entry: Entry) -> int:
        file = target / entry.name
        if ".." in Path(entry.name).parts or Path(entry.name).is_absolute():
            raise StorageError(f"{places.redacted(url)}: the key {entry.name!r} leads out of it.")
        if not (file.is_file() and file.stat().st_size == entry.size):
            file.parent.mkdir(parents=True, exist_ok=True)
            fetch(places.join(url, entry.name), file, etag=entry.etag if is_s3 else None)
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
        raise StorageError(
            f"{error.filename}: it was removed while it was fetched. Rerun the same command."
        ) from error
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
