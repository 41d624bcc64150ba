"""Downloads, verifies and unpacks PASCAL VOC from its own site, through torchvision."""

from __future__ import annotations

import contextlib
import http.client
import io
import socket
import ssl
import sys
import tarfile
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.error import URLError

from torchvision.datasets.utils import check_integrity, download_url
from torchvision.datasets.voc import DATASET_YEAR_DICT

from shards import atomic
from vocscore.errors import FetchError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

ARCHIVES: Final = {"2007": ("2007", "2007-test"), "2012": ("2012",)}
"""Year -> torchvision's names of its archives. The labels of VOC2012's test set were never
published; those of 2007's were."""

_SILENCE: Final = 60.0
"""Seconds without a byte after which a connection is closed; urllib's default is no limit."""

_NETWORK: Final = (
    URLError,
    http.client.HTTPException,
    TimeoutError,
    ConnectionError,
    ssl.SSLError,
)


class _Archive(NamedTuple):
    url: str
    file: Path
    md5: str
    tree: Path

    @property
    def mark(self) -> Path:
        """The file that marks this archive as completely unpacked."""
        return self.file.with_name(f"{self.file.name}.unpacked")

    def is_unpacked(self) -> bool:
        """Whether the tree has all of it; the archive itself may then be deleted."""
        return self.mark.is_file() and self.mark.read_text() == self.md5 and self.tree.is_dir()


def fetch_voc(year: str, folder: Path, *, say: Callable[[str], None], quiet: bool = False) -> Path:
    """Download the archives of one year into a folder and unpack them there.

    Existing files are reused: an unpacked archive is not checked, a complete one is not downloaded,
    a damaged or partial one is downloaded again.

    Args:
        year: one of `ARCHIVES`.
        folder: of the archives and of VOCdevkit/; made if missing.
        say: called with a line before each archive is downloaded or unpacked.
        quiet: no progress on standard error.

    Returns:
        The year's folder, with JPEGImages/, Annotations/ and ImageSets/.

    Raises:
        FetchError: an archive cannot be downloaded, is not the one that torchvision knows, or
            cannot be unpacked.
    """
    archives = [_archive(name, folder) for name in ARCHIVES[year]]
    for archive in archives:
        if archive.is_unpacked():
            continue
        try:
            _fetch(archive, say=say, quiet=quiet)
            _unpack(archive, say=say)
        except OSError as error:  # disk errors: network errors are caught where they arise
            raise FetchError(
                f"{folder}: {error.strerror or error}. Name another download folder as SRC."
            ) from error
    return archives[0].tree  # an archive of test images extends the same folder


def _archive(name: str, folder: Path) -> _Archive:
    known = DATASET_YEAR_DICT[name]
    return _Archive(
        known["url"], folder / known["filename"], known["md5"], folder / known["base_dir"]
    )


def _fetch(archive: _Archive, *, say: Callable[[str], None], quiet: bool) -> None:
    """Download an archive into the folder, unless it is there."""
    if check_integrity(archive.file, archive.md5):
        return
    say(f"fetching {archive.url} to {archive.file}")
    by_hand = (
        f"Download {archive.url} another way (md5 {archive.md5}), save it as {archive.file}, and "
        f"run the same command again."
    )
    try:
        with _timeout(_SILENCE), _progress(quiet=quiet):
            download_url(
                archive.url, archive.file.parent, filename=archive.file.name, md5=archive.md5
            )
    except _NETWORK as error:
        raise FetchError(
            f"{archive.file.name} cannot be fetched ({_line(error)}). {by_hand}"
        ) from error
    except (RuntimeError, RecursionError) as error:  # torchvision's error for a wrong md5
        raise FetchError(
            f"{archive.file.name}: the download is truncated or another file (its md5 is not the "
            f"one that torchvision knows). {by_hand}"
        ) from error


def _unpack(archive: _Archive, *, say: Callable[[str], None]) -> None:
    """Unpack an archive beside itself and mark it as done.

    Python's filter 'data' refuses members outside the folder (torchvision's `extract_archive`
    uses it in some releases only); if Python is too old for it, the md5 must suffice.
    """
    say(f"unpacking {archive.file}")
    archive.mark.unlink(missing_ok=True)
    try:
        with tarfile.open(archive.file) as tar:
            if hasattr(tarfile, "data_filter"):
                tar.extraction_filter = tarfile.data_filter
            tar.extractall(archive.file.parent)  # noqa: S202 - filtered above
    except tarfile.TarError as error:
        raise FetchError(
            f"{archive.file}: cannot be unpacked safely ({_line(error)}). Delete it and run the "
            f"same command again."
        ) from error
    if not archive.tree.is_dir():
        raise FetchError(f"{archive.file}: has no {archive.tree.name}. Delete it and try again.")
    atomic.write(archive.mark, archive.md5.encode())


@contextlib.contextmanager
def _timeout(seconds: float) -> Iterator[None]:
    """Close silent connections: torchvision's requests have no timeout."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


@contextlib.contextmanager
def _progress(*, quiet: bool) -> Iterator[None]:
    """Show torchvision's bar only on a terminal: a log would fill with copies of it."""
    if not quiet and sys.stderr.isatty():
        yield
    else:
        with contextlib.redirect_stderr(io.StringIO()):
            yield


def _line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
