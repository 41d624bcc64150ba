"""The walk over anyone's tar, held against tarfile and GNU tar."""

from __future__ import annotations

import io
import subprocess
import tarfile
from typing import TYPE_CHECKING

import pytest

from shards.errors import DamageError
from shards.tar.ustar import end, header, padding
from shards.tar.walk import CompressedTarError, members

if TYPE_CHECKING:
    from pathlib import Path


def make_tar(file: Path, names: list[str], *, kind: int = tarfile.USTAR_FORMAT) -> Path:
    """A tar of files whose bytes are their name's, three times."""
    with tarfile.open(file, "w", format=kind) as tar:
        for name in names:
            data = 3 * name.encode("utf-8", "surrogateescape")
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return file


def read_back(file: Path) -> list[tuple[str, bytes]]:
    """Names and bytes, found by `members`."""
    data = file.read_bytes()
    return [(m.name, data[m.offset : m.offset + m.size]) for m in members(file)]


@pytest.mark.parametrize("kind", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_members_are_those_of_tarfile(kind: int, tmp_path: Path) -> None:
    """USTAR, GNU and pax tars with long, odd and non-UTF-8 names are walked as tarfile does."""
    long = "/".join(["folder" * 5] * 4) + "/image.jpg"
    names = ["a.jpg", "b c.jpg", long, "bild-ä.jpg", "n\udcff.jpg", "./d/e.JPG"]
    if kind != tarfile.USTAR_FORMAT:
        names.append("y" * 400 + ".png")
    file = make_tar(tmp_path / "x.tar", names, kind=kind)
    with tarfile.open(file) as tar:
        expected = [(m.name, tar.extractfile(m).read()) for m in tar]  # type: ignore[union-attr]
    assert read_back(file) == expected
    assert [name for name, _ in expected] == names


@pytest.mark.parametrize("kind", ["v7", "oldgnu", "gnu", "ustar", "posix"])
def test_tars_of_gnu_tar_are_read(kind: str, tmp_path: Path) -> None:
    """Every format that GNU tar writes is read; folders and links in it are not members."""
    folder = tmp_path / "in"
    (folder / "deep").mkdir(parents=True)
    (folder / "a.jpg").write_bytes(b"A" * 700)
    (folder / "deep" / "b.jpg").write_bytes(b"B")
    (folder / "link.jpg").symlink_to("a.jpg")
    (folder / "hard.jpg").hardlink_to(folder / "a.jpg")
    order = ["a.jpg", "hard.jpg", "link.jpg", "deep"]
    command = ["tar", "-C", str(folder), f"--format={kind}", "-cf", str(tmp_path / "x.tar"), *order]
    subprocess.run(command, check=True)
    assert read_back(tmp_path / "x.tar") == [("a.jpg", b"A" * 700), ("deep/b.jpg", b"B")]


def test_a_size_that_only_pax_or_binary_holds_is_read(tmp_path: Path) -> None:
    """Sizes in a pax record and in GNU's base 256 decide where the next member is."""
    data = b"q" * 600
    binary = bytearray(header("b.jpg", 0))
    binary[124:136] = b"\x80" + (600).to_bytes(11, "big")
    binary[148:156] = b"%06o\0 " % (sum(binary[:148]) + sum(binary[156:]) + 256)
    record = b"12 size=600\n"
    pax = bytearray(header("PaxHeaders/c.jpg", len(record)))
    pax[156:157] = b"x"
    pax[148:156] = b"%06o\0 " % (sum(pax[:148]) + sum(pax[156:]) + 256)
    body = bytes(binary) + data + padding(600)
    body += bytes(pax) + record + padding(len(record)) + header("c.jpg", 0) + data + padding(600)
    body += header("d.jpg", 1) + b"d" + padding(1)
    (tmp_path / "x.tar").write_bytes(body + end(len(body)))
    with tarfile.open(tmp_path / "x.tar") as tar:
        assert [(m.name, m.size) for m in tar] == [("b.jpg", 600), ("c.jpg", 600), ("d.jpg", 1)]
    assert read_back(tmp_path / "x.tar") == [("b.jpg", data), ("c.jpg", data), ("d.jpg", b"d")]


def test_a_folder_of_an_old_tar_is_no_member(tmp_path: Path) -> None:
    """Before POSIX, a folder was an ordinary file whose name ends in '/'."""
    old = bytearray(header("folder/", 0))
    old[156:157] = b"\0"
    old[148:156] = b"%06o\0 " % (sum(old[:148]) + sum(old[156:]) + 256)
    (tmp_path / "x.tar").write_bytes(bytes(old) + header("folder/a.jpg", 0) + end(1024))
    with tarfile.open(tmp_path / "x.tar") as tar:
        assert [m.isdir() for m in tar] == [True, False]
    assert read_back(tmp_path / "x.tar") == [("folder/a.jpg", b"")]


@pytest.mark.parametrize("cut", [1, 511, 512, 513, 1000, 1535, 1536, 2048, 3071, 3072])
def test_a_tar_cut_anywhere_gives_whole_members_and_the_damage(cut: int, tmp_path: Path) -> None:
    """Cut at any byte, the members that are whole come, then a DamageError that says so."""
    whole = make_tar(tmp_path / "whole.tar", ["a" * 99, "b" * 90, "c" * 80]).read_bytes()
    (tmp_path / "x.tar").write_bytes(whole[:cut])
    found = []
    with pytest.raises(DamageError, match=r"^x\.tar: (truncated|not a tar)"):
        found.extend(members(tmp_path / "x.tar"))
    ends = [(m.name, m.offset + m.size) for m in members(tmp_path / "whole.tar")]
    assert [m.name for m in found] == [name for name, stop in ends if stop <= cut]


def test_an_empty_file_is_cut_short(tmp_path: Path) -> None:
    """A file without a byte is a tar cut short, not an empty tar."""
    (tmp_path / "x.tar").write_bytes(b"")
    with pytest.raises(DamageError, match="truncated: it ends at byte 0"):
        list(members(tmp_path / "x.tar"))


@pytest.mark.parametrize("tail", [b"x", header("late.jpg", 0), bytes(3 << 20)])
def test_what_stands_behind_the_end_is_damage(tail: bytes, tmp_path: Path) -> None:
    """Two tars joined, or a copy filled with zeros, do not pass for the first part alone."""
    file = make_tar(tmp_path / "x.tar", ["a.jpg"])
    file.write_bytes(file.read_bytes() + tail)
    found = []
    with pytest.raises(DamageError, match="end marker is at byte 1024 of"):
        found.extend(members(file))
    assert [m.name for m in found] == ["a.jpg"]


def test_a_damaged_header_ends_the_walk(tmp_path: Path) -> None:
    """One wrong byte in a header is found by its checksum, with the place."""
    file = make_tar(tmp_path / "x.tar", ["a.jpg", "b.jpg"])
    data = bytearray(file.read_bytes())
    data[1024] ^= 1
    file.write_bytes(data)
    found = []
    with pytest.raises(DamageError, match="no valid header at byte 1024"):
        found.extend(members(file))
    assert [m.name for m in found] == ["a.jpg"]


@pytest.mark.parametrize(
    ("command", "kind"), [("gz", "gzip"), ("bz2", "bzip2"), ("xz", "xz")], ids=str
)
def test_a_compressed_tar_is_named_as_such(command: str, kind: str, tmp_path: Path) -> None:
    """A compressed tar is refused with its kind and the program that unpacks it."""
    with tarfile.open(tmp_path / "x.tar", f"w:{command}") as tar:  # type: ignore[call-overload]
        tar.addfile(tarfile.TarInfo("a.jpg"))
    with pytest.raises(CompressedTarError, match=f"compressed with {kind}.* Run "):
        list(members(tmp_path / "x.tar"))


@pytest.mark.parametrize("kind", ["gnu", "posix"])
def test_a_sparse_member_is_refused(kind: str, tmp_path: Path) -> None:
    """A member with holes, which do not stand in the tar, is not taken for its stored part."""
    (tmp_path / "a.jpg").write_bytes(b"first")
    with (tmp_path / "holes.jpg").open("wb") as file:
        file.truncate(1 << 22)
        file.write(b"x")
    command = ["tar", "-C", str(tmp_path), "-S", f"--format={kind}", "-cf"]
    subprocess.run([*command, str(tmp_path / "x.tar"), "a.jpg", "holes.jpg"], check=True)
    found = []
    with pytest.raises(DamageError, match="sparse"):
        found.extend(members(tmp_path / "x.tar"))
    assert [m.name for m in found] == ["a.jpg"]


def test_a_pax_header_without_sense_is_damage(tmp_path: Path) -> None:
    """A pax record whose length is no number is damage, not an endless loop or a crash."""
    for record in (b"xx path=a\n", b"0 path=a\n", b"9 size=-1\n", b"10 pathaaa\n"):
        pax = bytearray(header("PaxHeaders/c.jpg", len(record)))
        pax[156:157] = b"x"
        pax[148:156] = b"%06o\0 " % (sum(pax[:148]) + sum(pax[156:]) + 256)
        (tmp_path / "x.tar").write_bytes(bytes(pax) + record + padding(len(record)) + end(1024))
        with pytest.raises(DamageError, match="pax header is invalid"):
            list(members(tmp_path / "x.tar"))


def test_a_missing_tar_is_named(tmp_path: Path) -> None:
    """A file that is not there is one line, too."""
    with pytest.raises(DamageError, match=r"^gone\.tar: cannot be read: No such file"):
        list(members(tmp_path / "gone.tar"))
