"""The tar format as shards are written in it, held against tarfile."""

from __future__ import annotations

import io
import tarfile
from typing import TYPE_CHECKING

import pytest

from shards.tar.ustar import end, header, padding

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("name", "size"),
    [("a.jpg", 0), ("train-00000000.labels.npy", 148), ("x" * 100, 8**11 - 1), ("é.jpg", 1)],
)
def test_headers_equal_those_of_tarfile(name: str, size: int) -> None:
    """A header is byte for byte the one that tarfile makes; other names than ASCII are refused."""
    info = tarfile.TarInfo(name)
    info.size, info.mtime, info.mode = size, 0, 0o644
    if name.isascii():
        assert header(name, size) == info.tobuf(tarfile.USTAR_FORMAT)
    else:
        with pytest.raises(UnicodeEncodeError):
            header(name, size)


@pytest.mark.parametrize(("name", "size"), [("x" * 101, 1), ("a.jpg", 8**11)])
def test_what_no_header_holds_is_refused(name: str, size: int) -> None:
    """A name over 100 characters or a file of 8 GiB is refused, not cut."""
    with pytest.raises(ValueError, match="no USTAR header"):
        header(name, size)


@pytest.mark.parametrize("sizes", [[1], [512, 513], [9 * 1024], [0, 1, 2]])
def test_an_archive_equals_that_of_tarfile(sizes: list[int], tmp_path: Path) -> None:
    """Headers, padding and end make the very archive that tarfile makes."""
    ours = b""
    with tarfile.open(tmp_path / "x.tar", "w", format=tarfile.USTAR_FORMAT) as tar:
        for number, size in enumerate(sizes):
            info = tarfile.TarInfo(f"{number}.bin")
            info.size = size
            tar.addfile(info, io.BytesIO(b"z" * size))
            ours += header(info.name, size) + b"z" * size + padding(size)
    assert ours + end(len(ours)) == (tmp_path / "x.tar").read_bytes()
