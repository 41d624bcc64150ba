"""The bytes of one image, from a file or a stretch of one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from shards.errors import BadImage, Reason
from shards.images import image_file
from shards.sample import ImageRef

MANY = 10**8


def test_a_whole_file_and_a_stretch(tmp_path: Path) -> None:
    """A reference without a size is the whole file; with one, exactly those bytes."""
    file = tmp_path / "x"
    file.write_bytes(b"0123456789")
    assert image_file.read_bytes(ImageRef("x", str(file)), max_pixels=MANY) == b"0123456789"
    assert image_file.read_bytes(ImageRef("x", str(file), 3, 4), max_pixels=MANY) == b"3456"
    assert image_file.read_bytes(ImageRef("x", str(file), 8, 2), max_pixels=MANY) == b"89"


@pytest.mark.parametrize(
    ("offset", "size", "reason"),
    [
        (0, 0, Reason.EMPTY),
        (8, 4, Reason.TRUNCATED),
        (10, 1, Reason.TRUNCATED),
        (99, 1, Reason.TRUNCATED),
    ],
)
def test_a_stretch_beyond_the_end(tmp_path: Path, offset: int, size: int, reason: Reason) -> None:
    """A stretch that the file does not hold in full is truncated, never silently shorter."""
    file = tmp_path / "x"
    file.write_bytes(b"0123456789")
    with pytest.raises(BadImage) as caught:
        image_file.read_bytes(ImageRef("x", str(file), offset, size), max_pixels=MANY)
    assert caught.value.fault.reason is reason


def test_files_that_give_no_bytes(tmp_path: Path) -> None:
    """What is gone, empty or no file has its own reason, and a pipe is not waited for."""
    (tmp_path / "empty").touch()
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    expected = {
        "empty": Reason.EMPTY,
        "gone": Reason.VANISHED,
        "empty/inside": Reason.VANISHED,
        "dangling": Reason.VANISHED,
        "folder": Reason.UNREADABLE,
        "pipe": Reason.UNREADABLE,
        "loop": Reason.UNREADABLE,
        "x" * 300: Reason.UNREADABLE,
        "nul\0inside": Reason.UNREADABLE,
    }
    for name, reason in expected.items():
        with pytest.raises(BadImage) as caught:
            image_file.read_bytes(ImageRef(name, str(tmp_path / name)), max_pixels=MANY)
        assert caught.value.fault.reason is reason, name


def test_a_device_is_not_read(tmp_path: Path) -> None:
    """An endless device is refused, not read until memory ends."""
    with pytest.raises(BadImage, match="not a file"):
        image_file.read_bytes(ImageRef("zero", "/dev/zero"), max_pixels=MANY)


def test_descriptors_are_closed(tmp_path: Path) -> None:
    """Reading, or failing to, leaves no file open."""
    file = tmp_path / "x"
    file.write_bytes(b"1")
    descriptors = Path("/proc/self/fd")
    before = len(list(descriptors.iterdir()))
    image_file.read_bytes(ImageRef("x", str(file)), max_pixels=MANY)
    with pytest.raises(BadImage):
        image_file.read_bytes(ImageRef("x", str(tmp_path)), max_pixels=MANY)
    assert len(list(descriptors.iterdir())) == before
