"""How many bytes are read of what calls itself an image, and which are refused unread."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from encoded import drawn, encoded

from shards.errors import BadImage, Fault, Reason
from shards.image_formats import FORMATS
from shards.images import image_file, kinds
from shards.sample import ImageRef

if TYPE_CHECKING:
    from pathlib import Path

JPEG = encoded(drawn(), "JPEG")
LIMIT = 8 * 1000 + (64 << 20)


def _refused(file: Path, offset: int = 0, size: int = -1, name: str = "") -> Fault:
    with pytest.raises(BadImage) as caught:
        image_file.read_bytes(ImageRef(name or file.name, str(file), offset, size), max_pixels=1000)
    return caught.value.fault


def _sparse(file: Path, size: int, first: bytes = b"") -> Path:
    with file.open("wb") as out:
        out.write(first)
        out.truncate(size)
    return file


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many bytes each call of `pread` returned."""
    sizes: list[int] = []
    pread = os.pread

    def counted(descriptor: int, size: int, offset: int) -> bytes:
        data = pread(descriptor, size, offset)
        sizes.append(len(data))
        return data

    monkeypatch.setattr(os, "pread", counted)
    return sizes


def test_more_than_the_pixels_can_fill_is_not_read(tmp_path: Path, read: list[int]) -> None:
    """A sparse file of a TiB, and a stretch of a tar that says so, are too large; unread."""
    file = _sparse(tmp_path / "m.jpg", 1 << 40, JPEG)
    verdict = _refused(file)
    assert verdict.reason is Reason.TOO_LARGE
    assert str(1 << 40) in verdict.detail
    assert str(LIMIT) in verdict.detail
    assert "(max_pixels)" in verdict.detail
    assert _refused(file, 512, 1 << 39).reason is Reason.TOO_LARGE
    assert _refused(tmp_path / "m.jpg", 512, 1 << 62).reason is Reason.TOO_LARGE
    assert read == []


def test_the_limit_is_exact(tmp_path: Path) -> None:
    """Eight bytes a pixel and 64 MiB are read, one byte more is not."""
    assert image_file.most_bytes(1000) == LIMIT
    file = _sparse(tmp_path / "a.jpg", LIMIT, JPEG)
    ref = ImageRef("a.jpg", str(file))
    assert len(image_file.read_bytes(ref, max_pixels=1000)) == LIMIT
    assert _refused(_sparse(file, LIMIT + 1, JPEG)).reason is Reason.TOO_LARGE
    assert image_file.most_bytes(10**12) == 8**11 - 1  # what a member of a shard can hold


@pytest.mark.parametrize("first", [b"", b"<html>", b"\xff\x0a", b"\0\0\0\x1cftypisom"])
def test_a_large_file_that_is_no_image_is_hardly_read(
    tmp_path: Path, read: list[int], first: bytes
) -> None:
    """Above 64 MiB the first bytes decide whether the others are worth memory."""
    file = _sparse(tmp_path / "a.jpg", (64 << 20) + 1, first)
    assert _refused(file).reason is Reason.UNSUPPORTED
    assert sum(read) == 64
    assert _refused(file, 512, (64 << 20) + 1).reason in (Reason.UNSUPPORTED, Reason.TRUNCATED)


def test_a_file_that_grows_is_read_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is appended while it is read does not keep the reader."""
    file = tmp_path / "a.jpg"
    file.write_bytes(JPEG)
    pread = os.pread

    def growing(descriptor: int, size: int, offset: int) -> bytes:
        with file.open("ab") as more:
            more.write(bytes(10_000))
        return pread(descriptor, min(size, 1000), offset)

    monkeypatch.setattr(os, "pread", growing)
    assert image_file.read_bytes(ImageRef("a", str(file)), max_pixels=1000) == JPEG


@pytest.mark.parametrize(
    "form", [one for one in FORMATS if not kinds.is_decoded(one)], ids=lambda one: one.name
)
def test_other_formats_are_named_by_their_names(tmp_path: Path, form: object) -> None:
    """An image that no decoder reads is unsupported, with its format and what can be done."""
    for suffix in form.suffixes:  # type: ignore[attr-defined]
        for name in (f"a{suffix}", f"x.tar/B{suffix.upper()}"):
            file = tmp_path / "data"
            file.write_bytes(b"\0\0\2\0" + bytes(60))
            verdict = _refused(file, name=name)
            assert str(verdict) == f"unsupported: {form.name} is not decoded. {form.cure}"  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("first", "name"),
    [
        (b"\xff\x0a\xfa\x1f", "JPEG XL"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
        (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
        (b"8BPS\0\1", "Photoshop"),
        (b"II*\0\x10\0\0\0CR\2\0", "camera RAW"),
        (b"\0\0\0\x18ftypcrx \0\0\0\1", "camera RAW"),
        (b"%PDF-1.4", "PDF"),
        (b"<svg xmlns='x'/>", "SVG"),
        (b"%!PS-Adobe-3.0 EPSF", "PostScript"),
    ],
)
def test_other_formats_are_named_by_their_bytes(first: bytes, name: str) -> None:
    """Whatever the file is called, the bytes say what it is."""
    with pytest.raises(BadImage) as caught:
        image_file.decode(first + bytes(200), max_pixels=1000)
    assert str(caught.value).startswith(f"unsupported: {name} is not decoded. ")


@pytest.mark.parametrize("name", ["a.heic", "a.tga", "a.psd", "a.avif", "a.txt", "a"])
@pytest.mark.parametrize("form", ["JPEG", "PNG", "BMP", "PPM", "GIF"])
def test_the_bytes_decide_and_not_the_name(tmp_path: Path, form: str, name: str) -> None:
    """An image under another format's name is read and decoded as what it is."""
    file = tmp_path / name
    file.write_bytes(encoded(drawn(), form))
    data = image_file.read_bytes(ImageRef(name, str(file)), max_pixels=10**6)
    assert image_file.decode(data, max_pixels=10**6).shape == (47, 61, 3)
    assert image_file.probe(data).format == form


def test_no_memory_for_the_bytes_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Out of memory is raised as such, for whoever reads to spare the rest."""
    file = tmp_path / "a.jpg"
    file.write_bytes(JPEG)

    def poor(descriptor: int, size: int, offset: int) -> bytes:
        raise OSError(12, "Cannot allocate memory")

    monkeypatch.setattr(os, "pread", poor)
    with pytest.raises(MemoryError):
        image_file.read_bytes(ImageRef("a", str(file)), max_pixels=1000)
