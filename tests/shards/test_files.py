"""Only ordinary files are opened: a named pipe that nobody writes to would be waited for."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

import pytest
from small_sets import pack_small, small_set

from shards.classes import read_classes
from shards.errors import BadImage, DamageError, Error
from shards.files import NotAFileError, open_binary, open_regular, open_text, read_regular
from shards.images.image_file import read_bytes
from shards.index import read_index
from shards.manifest import read_manifest
from shards.reader import load_split
from shards.sample import ImageRef
from shards.sources.coco.read import read_coco
from shards.sources.coco.splits import CocoFile
from shards.sources.table.read import read_table
from shards.tar.walk import members
from shards.verify import verify

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.timeout(30)


@pytest.mark.parametrize("read", [open_regular, open_binary, open_text, read_regular])
def test_what_is_no_file_is_refused_by_its_kind(
    read: Callable[[Path], object], tmp_path: Path
) -> None:
    """A folder, a pipe, a socket and a device are refused, and the error says what they are."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("pipe")
    places = {"a folder": tmp_path, "a named pipe": tmp_path / "pipe"}
    for kind, place in (*places.items(), ("a named pipe", tmp_path / "link")):
        with pytest.raises(NotAFileError) as error:
            read(place)
        assert error.value.strerror == f"{kind}, not a file"
        assert error.value.filename == str(place)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "s"))
        with pytest.raises(NotAFileError, match="a socket, not a file"):
            read(tmp_path / "s")
    with pytest.raises(NotAFileError, match="a device, not a file"):
        read(type(tmp_path)("/dev/zero"))


def test_text_and_bytes_come_as_from_open(tmp_path: Path) -> None:
    """Encodings, errors and ends of lines are those of `open`."""
    file = tmp_path / "a"
    file.write_bytes(b"\xef\xbb\xbfa\r\n\xff")
    for arguments in (
        {"encoding": "utf-8-sig", "errors": "surrogateescape"},
        {"encoding": "latin-1", "newline": ""},
    ):
        with open_text(file, **arguments) as ours, file.open(**arguments) as theirs:
            assert ours.read() == theirs.read()
    with open_binary(file) as opened:
        assert opened.read() == read_regular(file) == file.read_bytes()


@pytest.mark.parametrize(
    ("read", "name"),
    [
        (read_classes, "classes.txt"),
        (read_index, "a.idx"),
        (lambda file: read_manifest(file.parent), "dataset.json"),
        (lambda file: list(members(file)), "a.tar"),
        (lambda file: read_coco(file.parent, [CocoFile(file, None)]), "coco.json"),
        (lambda file: read_table(file.parent, file), "labels.csv"),
        (lambda file: read_bytes(ImageRef("a", str(file)), max_pixels=10**6), "a.jpg"),
    ],
)
def test_no_reader_waits_for_a_pipe(
    read: Callable[[Path], object], name: str, tmp_path: Path
) -> None:
    """Tables, lists, manifests, indexes, tars and images: each is refused at once, in one line."""
    os.mkfifo(tmp_path / name)
    with pytest.raises((Error, OSError)) as error:
        read(tmp_path / name)
    told = getattr(error.value, "strerror", None) or str(error.value)
    assert "a named pipe, not a file" in told
    assert isinstance(error.value, BadImage) or error.type is not OSError


@pytest.mark.parametrize("name", ["train-000000.tar", "train-000000.idx", "dataset.json"])
def test_a_pipe_in_a_packed_set_is_damage(name: str, tmp_path: Path) -> None:
    """Loading and verifying a set name the file that is none."""
    out = tmp_path / "out"
    pack_small(small_set(tmp_path / "in"), out)
    (out / name).unlink()
    os.mkfifo(out / name)
    with pytest.raises(DamageError, match=f"{name}: .*a named pipe, not a file"):
        load_split(out, "train")
    assert any(f"{name}: cannot be read" in line for line in verify(out, decode=False))


def test_a_hole_is_not_read(tmp_path: Path) -> None:
    """A file of 100 GiB, all hole, is refused before its bytes are asked for."""
    file = tmp_path / "dataset.json"
    with file.open("wb") as opened:
        opened.truncate(100 << 30)
    with pytest.raises(OSError, match="larger than 8 GiB"):
        read_regular(file)
    with pytest.raises(DamageError, match="larger than 8 GiB"):
        read_manifest(tmp_path)
