"""Outputs on object storage as paths: what a path does on the disk happens in a mirror.

    SCRATCH/outputs/<hash>/predictions.csv        as large as the object, without bytes
    SCRATCH/outputs/<hash>/predictions.csv.json   the record beside it
    SCRATCH/outputs/<hash>/predictions.csv.parts  there if an unfinished run is

`refresh` makes the mirror like the storage, so that whether an output exists, is finished or
differs is found out as for any other. Rows never pass through it. Each process has its own, so that
jobs on one machine do not change what another one is looking at.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path, PosixPath
from typing import TYPE_CHECKING, Final

from shards.errors import StorageError
from shards.remote import places, store
from vocscore.errors import ScoreError
from vocscore.records.score_record import record_file
from vocscore.scoring.output.work_folder import work_folder

if TYPE_CHECKING:
    from collections.abc import Generator

    from typing_extensions import Self

WRITTEN: Final = ("s3", "gs", "az")
"""Schemes of storage that can be written."""
_ABOVE: Final[dict[str, str]] = {}
"""Folder of a mirror -> the URL of the folder that it is of."""


class MirroredPath(PosixPath):
    """A path in a mirror: its text is the URL, what the system sees is the local file."""

    __slots__ = ()

    def __fspath__(self) -> str:
        """Return the path of the local file."""
        return os.path.join(*self.parts)  # noqa: PTH118 - a Path would ask for this again

    def __str__(self) -> str:
        """Return the URL."""
        local = self.__fspath__()
        for folder, url in _ABOVE.items():
            if local == folder or local.startswith(f"{folder}/"):
                return f"{url}{local[len(folder) :]}"
        return local

    def iterdir(self) -> Generator[Self]:
        """Yield what is in the local folder: from Python 3.13 on, pathlib asks for its text."""
        for path in Path(self.__fspath__()).iterdir():
            yield self / path.name


def is_written(place: str) -> bool:
    """Whether a text is a URL that can be an output."""
    return places.is_remote(place) and places.scheme(place) in WRITTEN


def mirrored(url: str) -> Path:
    """Return the path of an output on object storage; nothing is asked.

    Raises:
        ScoreError: it names no object, or has credentials.
    """
    url = url.rstrip("/")
    if places.has_secret(url):
        raise ScoreError(f"{places.redacted(url)}: {places.REFUSED}.")
    above, name = places.parent(url), places.name(url)
    if not name:
        raise ScoreError(f"{url}: a bucket. Name a file in it, such as {url}/predictions.csv.")
    from vocscore.pipeline.scratch import scratch_folder  # it imports NumPy

    digest = hashlib.sha256(above.encode("utf-8", "surrogateescape")).hexdigest()[:32]
    folder = os.path.join(scratch_folder(), "outputs", digest)  # noqa: PTH118
    _ABOVE[folder] = above
    return MirroredPath(folder, name)


def url_of(path: Path) -> str | None:
    """Return the URL of an output on object storage; None for a local one."""
    return str(path) if isinstance(path, MirroredPath) else None


def refresh(output: Path) -> None:
    """Make the mirror of an output like the storage; a local output stays as it is.

    Raises:
        StorageError: the storage cannot be asked.
    """
    url = url_of(output)
    if url is None:
        return
    store.check(url)
    forget(output)
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        _mirror(output, url)
    except OSError as error:
        why = str(error.strerror or error).lower()
        raise StorageError(
            f"{url}: {os.fspath(output.parent)} cannot be written: {why}. Set TMPDIR."
        ) from error


def _mirror(output: Path, url: str) -> None:
    entry = store.head(url)
    parts = [] if entry else [one for one in store.listing(url) if "/" not in one.name]
    if entry is not None:
        _hollow(output, entry.size)
    for part in parts:
        output.mkdir(exist_ok=True)
        _hollow(output / part.name, part.size)
    record = record_file(output)
    if store.head(str(record)) is not None:
        record.write_bytes(store.read(str(record)))
    work = work_folder(output)
    if next(store.listing(str(work)), None) is not None:
        work.mkdir(exist_ok=True)


def forget(output: Path) -> None:
    """Remove the mirror of an output."""
    if output.is_dir():
        shutil.rmtree(output)
    for path in (output, record_file(output)):
        path.unlink(missing_ok=True)
    if work_folder(output).is_dir():
        shutil.rmtree(work_folder(output))


def _hollow(file: Path, size: int) -> None:
    with file.open("wb") as opened:
        opened.truncate(size)
