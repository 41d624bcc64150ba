"""Writes images, labels and descriptions into one shard."""

from __future__ import annotations

import hashlib
import os
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from json.encoder import encode_basestring_ascii as quoted
from typing import TYPE_CHECKING, Final

from shards import atomic
from shards.classes import encode
from shards.index import Component, format_index
from shards.manifest import Shard, index_name
from shards.members import DESCRIPTION, LABELS, npy_header
from shards.tar import ustar

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from shards.packing.prepare import PreparedSample
    from shards.sample import Sample

_STRETCH_BYTES: Final = 1 << 20
"""Bytes collected before each write. A sample has at least 3 KiB and adds two parts, so a stretch
has fewer than the 1,024 parts that one `writev` accepts."""
_SYNC_BYTES: Final = 16 << 20
"""Bytes between fsync calls, so that the disk works while images are read, and `commit` has little
left to wait for."""


def describe(image: PreparedSample) -> bytes:
    r"""The .json member: ASCII, keys sorted; equal images give equal bytes.

    A byte of a file name that is not UTF-8 is written as an escaped lone surrogate (`\udcNN`),
    as Python represents such names: `os.fsencode` of the parsed path restores the bytes.

    Equal to `json.dumps(..., sort_keys=True, separators=(",", ":"))`, in a fifth of the time,
    which matters because it holds the GIL.
    """
    sample = image.sample
    original = ""
    if image.original is not None:
        width, height = image.original
        original = f'"original":{{"height":{height},"width":{width}}},'
    text = (
        f'{{"difficult":{_listed(sample.difficult)},"height":{image.height},'
        f'"labels":{_listed(sample.present)},{original}"path":{quoted(sample.path)},'
        f'"sha256":"{image.sha256}","width":{image.width}}}'
    )
    return text.encode("ascii")


def _listed(names: Sequence[str]) -> str:
    return f"[{','.join(map(quoted, names))}]"


class ShardWriter:
    """Writes one shard.

    The tar grows in the folder `stage`, by stretches of about a megabyte, each hashed in a thread
    while it is written, and synced to disk in another; `commit` moves tar and index to the set.
    An OSError of any method names the file.

    Args:
        stage: a folder on the same file system as the set.
        name: file name of the tar.
        classes: in column order.
    """

    def __init__(self, stage: Path, name: str, *, classes: Sequence[str]) -> None:
        self.samples = 0
        self._name = name
        self._tar = stage / name
        self._index = stage / index_name(name)
        self._classes = classes
        self._npy_header = npy_header(len(classes))
        self._labels: dict[tuple[tuple[str, ...], tuple[str, ...]], bytes] = {}
        self._components: list[tuple[Component, ...]] = []
        self._size = 0
        self._parts: list[bytes] = []
        self._between: list[bytes] = []
        """The small pieces after the last image of `_parts`, to be joined."""
        self._begun = 0
        """The size of the tar at the start of `_parts`."""
        self._sha256 = hashlib.sha256()
        self._hashing = Future[None]()
        self._hashing.set_result(None)
        self._hasher = ThreadPoolExecutor(1, thread_name_prefix="hash")
        self._synced = 0
        self._syncing = self._hashing
        self._syncer = ThreadPoolExecutor(1, thread_name_prefix="sync")
        # Unbuffered: a stretch is already one write, and closing the file after a full-disk error
        # must not try to write again.
        self._file = self._tar.open("wb", buffering=0)

    def add(self, image: PreparedSample, *, key: str) -> None:
        """Append the three members of a sample: image, labels, description.

        Raises:
            OSError: they, or members added earlier, cannot be written.
        """
        image_at = self._begin(name := f"{key}.{image.extension}", size := len(image.data))
        self._parts += (b"".join(self._between), image.data)
        self._between = [ustar.padding(size)]
        self._size += size + len(self._between[0])
        self._components.append(
            (
                Component(image.extension, image_at, size, name),
                self._append(LABELS, self._row(image.sample), key=key),
                self._append(DESCRIPTION, describe(image), key=key),
            )
        )
        self.samples += 1
        if self._size - self._begun >= _STRETCH_BYTES:
            self._flush()

    def seal(self) -> Shard:
        """Write the end of the archive; nothing can be added afterwards.

        Raises:
            OSError: it, or members added earlier, cannot be written.
        """
        self._between.append(end := ustar.end(self._size))
        self._size += len(end)
        self._flush()
        self._hasher.shutdown()
        self._hashing.result()
        return Shard(self._name, self.samples, self._size, self._sha256.hexdigest())

    def commit(self, folder: Path) -> None:
        """Sync tar and index to disk and move them to `folder`."""
        self.sync()
        place(self._tar.parent, self._name, folder)

    def sync(self) -> None:
        """Write the index, and sync it and the tar to disk, under their names in the stage."""
        self._syncer.shutdown()
        self._syncing.result()
        with _naming(self._tar):
            os.fsync(self._file.fileno())
            self._file.close()
        with _naming(self._index), self._index.open("wb") as file:
            file.write(format_index(self._components))
            file.flush()
            os.fsync(file.fileno())

    def discard(self) -> None:
        """Remove what has been written, ignoring disk errors."""
        self._hasher.shutdown()
        self._syncer.shutdown()
        with suppress(OSError):
            self._file.close()
            self._tar.unlink(missing_ok=True)
            self._index.unlink(missing_ok=True)

    def _begin(self, name: str, size: int) -> int:
        """Append a header; return where its member's bytes start."""
        self._between.append(ustar.header(name, size))
        self._size += ustar.BLOCK
        return self._size

    def _append(self, extension: str, data: bytes, *, key: str) -> Component:
        """Append a small member."""
        name, size = f"{key}.{extension}", len(data)
        at = self._begin(name, size)
        self._between += (data, fill := ustar.padding(size))
        self._size += size + len(fill)
        return Component(extension, at, size, name)

    def _row(self, sample: Sample) -> bytes:
        """The .npy of an image's labels; cached, as few combinations of labels are common."""
        labels = (sample.present, sample.difficult)
        row = self._labels.get(labels)
        if row is None:
            row = self._npy_header + encode(sample, self._classes).tobytes()
            self._labels[labels] = row
        return row

    def _flush(self) -> None:
        """Write the collected parts, in one call without copying if the system accepts them all."""
        parts = [*self._parts, b"".join(self._between)]
        size = self._size - self._begun
        self._parts, self._between, self._begun = [], [], self._size
        self._hashing.result()
        self._hashing = self._hasher.submit(self._hash, parts)
        with _naming(self._tar):
            done = os.writev(self._file.fileno(), parts)
            if done < size:
                left = memoryview(b"".join(parts))[done:]
                while left:
                    left = left[self._file.write(left) :]
        if self._size - self._synced >= _SYNC_BYTES and self._syncing.done():
            self._syncing.result()
            self._synced = self._size
            self._syncing = self._syncer.submit(self._sync)

    def _sync(self) -> None:
        with _naming(self._tar):
            os.fsync(self._file.fileno())

    def _hash(self, parts: Iterable[bytes]) -> None:
        for part in parts:  # hashlib releases the GIL
            self._sha256.update(part)


def place(stage: Path, name: str, folder: Path) -> None:
    """Durably move a tar, already synced to disk, and its index from the stage to the set."""
    for working in (stage / name, stage / index_name(name)):
        working.replace(folder / working.name)
    atomic.sync_folder(folder)


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Add the file name to errors raised for its descriptor."""
    try:
        yield
    except OSError as error:
        error.filename = str(path)
        raise
