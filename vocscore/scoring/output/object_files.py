"""`Files` on object storage: names are keys below a prefix, a free name is taken by one request."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from shards.remote import places, store
from shards.remote.download import fetch
from shards.remote.patience import patiently
from vocscore.scoring.output.marks import BAD

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class ObjectFiles:
    """Objects below a URL. `StorageError` is raised where storage does not answer.

    Args:
        url: of the prefix.
    """

    def __init__(self, url: str) -> None:
        self.place = places.redacted(url)
        self.at_once = 32
        self._url = url
        self._copies: tempfile.TemporaryDirectory[str] | None = None

    def open(self) -> None:
        """Check that the bucket is there; a prefix needs no making."""
        store.check(self._url)

    def create(self, name: str, data: bytes) -> bool:
        """Write an object whose key is free."""
        return patiently(lambda: store.put_new(self._of(name), data))

    def put(self, name: str, data: bytes) -> None:
        """Write an object."""
        patiently(lambda: store.put(self._of(name), data))

    def put_file(self, name: str, source: BinaryIO) -> None:
        """Copy a local file, in parts."""
        start = source.tell()

        def copy() -> None:
            source.seek(start)
            with store.writer(self._of(name)) as file:
                shutil.copyfileobj(source, file, 1 << 20)

        patiently(copy)

    def exists(self, name: str) -> bool:
        """Whether there is an object of this name."""
        return patiently(lambda: store.head(self._of(name))) is not None

    def read(self, name: str) -> bytes:
        """Read a whole object."""
        return patiently(lambda: store.read(self._of(name)))

    def local(self, name: str) -> Path:
        """Fetch an object; the copy is kept until the next call, that of bad records longer."""
        if self._copies is None:
            self._copies = tempfile.TemporaryDirectory(prefix="vocscore-")
        folder = Path(self._copies.name)
        for earlier in folder.iterdir():
            if not earlier.name.startswith(f"{BAD}-"):  # small, and all of them are asked for
                earlier.unlink()
        fetch(self._of(name), folder / name)
        return folder / name

    def names(self) -> Iterator[str]:
        """List the names."""
        return (entry.name for entry in store.listing(self._url) if "/" not in entry.name)

    def remove(self, names: Iterable[str]) -> None:
        """Remove objects."""
        urls = [self._of(name) for name in names]
        patiently(lambda: store.delete(urls))

    def close(self) -> None:
        """Remove the local copy."""
        if self._copies is not None:
            self._copies.cleanup()
            self._copies = None

    def _of(self, name: str) -> str:
        return places.join(self._url, name)
