"""Turns a URL into `Inputs`: a folder of images or tars, packed shards, a tar, a list, an image."""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from shards.archives import HEAD_BYTES
from shards.file_kinds import is_tar
from shards.manifest import NAME as MANIFEST
from shards.packed_set import manifest_in
from shards.paths import shown
from shards.remote import places, store, web
from shards.remote.download import fetch
from vocscore.errors import ScoreError
from vocscore.scoring.inputs.keys import find_keys
from vocscore.scoring.inputs.packed import own_files, tars_of_set
from vocscore.scoring.inputs.recognized import SOURCES, kind_of_file, list_of, problems_of
from vocscore.scoring.inputs.tar_units import Tars
from vocscore.scoring.inputs.units import LooseFiles

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from shards.manifest import Manifest
    from vocscore.scoring.inputs.keys import FoundKeys, Key

    Listing = Callable[[int], None] | None


def read_remote(url: str, *, listing: Listing = None) -> LooseFiles | Tars:
    """List what to score; no image is read.

    Args:
        url: as for `read_source`.
        listing: called periodically with the number of images and tars found so far.

    Raises:
        ScoreError: there is nothing, or nothing to score, or the URL has a secret in it.
        StorageError: there is no such bucket, access is denied, or the storage cannot be reached.
        DamageError: the manifest of packed shards is damaged.
    """
    if places.has_secret(url):
        raise ScoreError(f"{shown(places.redacted(url))}: {places.REFUSED}.")
    store.check(url)
    url = store.pinned(url)
    is_folder = url.endswith("/") or not places.name(url)
    entry = None if is_folder and not places.is_http(url) else store.head(url)
    if entry is not None:
        return _file(url, entry)
    if places.is_http(url):
        raise ScoreError(f"{shown(url)}: no such file on this server. {SOURCES}")
    return _folder(url.rstrip("/"), listing)


def _file(url: str, entry: Key) -> LooseFiles | Tars:
    name, root = places.name(url), places.parent(url)
    head = store.read(url, 0, HEAD_BYTES) if entry.size else b""
    web.refuse_page(url, head)
    kind = kind_of_file(head, url)
    if kind == "list":
        return _list(url, shown(url))
    return LooseFiles(root, [name]) if kind == "image" else _tars(root, [name], {name: entry})


def _list(url: str, where: str) -> LooseFiles:
    """Read a list through a temporary file: it may be larger than the memory."""
    with tempfile.TemporaryDirectory(prefix="vocscore-list-") as folder:
        file = Path(folder, "list")
        fetch(url, file)
        with file.open("rb") as opened:
            return list_of(opened, where, root=places.parent(url))


def _folder(url: str, listing: Listing) -> LooseFiles | Tars:
    manifest = _manifest(url)
    if manifest is not None:
        own = own_files(manifest)
        found = _keys(url, own, listing)
        if any("/" not in name and is_tar(name) for name in found.entries):
            return _packed(url, manifest, found)
    found = _keys(url, (), listing)
    if not found.keys:
        raise ScoreError(f"{shown(url)}: no object of this name, and none below it. {SOURCES}")
    problems = problems_of(found.found, url)
    if found.found.images:
        return LooseFiles(url, found.found.images, found.found.skipped, problems)
    names = found.found.tars
    return _tars(url, names, found.entries, skipped=found.found.skipped, problems=problems)


def _keys(url: str, passed_over: frozenset[str] | tuple[()], listing: Listing) -> FoundKeys:
    return find_keys(
        store.listing(url),
        head=lambda name: store.read(places.join(url, name), 0, HEAD_BYTES),
        passed_over=passed_over,
        listing=listing,
    )


def _manifest(url: str) -> Manifest | None:
    file = places.join(url, MANIFEST)
    try:
        return manifest_in(partial(store.read, file, 0), file, names=lambda: _names_in(url))
    except FileNotFoundError:
        return None


def _names_in(url: str) -> Iterator[str]:
    """The names directly in a folder that shards and their indexes may have."""
    for key in store.listing(url):
        if "/" not in key.name and not key.name.startswith("."):
            yield key.name


def _packed(url: str, manifest: Manifest, keys: FoundKeys) -> Tars:
    found = keys.found

    def exists(name: str) -> bool:
        return name in keys.entries or store.head(places.join(url, name)) is not None

    tars = tars_of_set(url, manifest, found, exists=exists)
    return _tars(
        url,
        tars.names,
        keys.entries,
        samples=tars.samples,
        skipped=found.skipped,
        problems=tars.problems,
    )


def _tars(
    url: str,
    names: Sequence[str],
    entries: Mapping[str, Key],
    *,
    samples: Sequence[int | None] = (),
    skipped: Mapping[str, int] | None = None,
    problems: Sequence[str] = (),
) -> Tars:
    keys = [entries[name] for name in names]
    sizes, etags = [key.size for key in keys], [key.etag or "" for key in keys]
    return Tars(url, names, sizes, etags, samples, skipped or {}, problems)
