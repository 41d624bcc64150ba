"""What a file is: by its name, else by its first bytes."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import shlex
import subprocess
import tarfile
import zipfile
from typing import TYPE_CHECKING

import pytest
from small_sets import image_bytes

from shards.archives import archive_of_head, archive_of_name
from shards.file_kinds import (
    Nature,
    count,
    is_hidden,
    is_tar,
    kind_of,
    listed,
    nature_of,
    suffix_of,
)
from shards.image_formats import sniff

if TYPE_CHECKING:
    from pathlib import Path


def by_name(name: str) -> Nature:
    """What a file is whose bytes must not be looked at."""

    def head() -> bytes:
        raise AssertionError(f"{name} was opened")

    return nature_of(name, head)


@pytest.mark.parametrize(
    ("nature", "names"),
    [
        (Nature.IMAGE, "a.jpg a.JPEG a.Heic a.avif a.pdf a.svgz b.tar.png"),
        (Nature.TAR, "a.tar A.TAR a.tar.gz a.tgz a.TAR.XZ a.tar.lz4 a.tbz2"),
        (Nature.ARCHIVE, "a.zip a.7z a.rar a.JPG.gz a.gz a.iso"),
        (Nature.OTHER, "a.txt a.JSON a.mp4 a.jpg.txt a.csv.gz log.txt.xz a.docx a.npz a.py"),
    ],
)
def test_a_known_suffix_tells_what_a_file_is_without_opening_it(nature: Nature, names: str) -> None:
    """Files with well-known suffixes, in any case, are not opened."""
    assert {name: by_name(name) for name in names.split()} == dict.fromkeys(names.split(), nature)


@pytest.mark.parametrize("name", ["a", "a.", "a.jpg_large", "a.bin", "txt", "jpg", "a.1", "a.php"])
def test_first_bytes_tell_what_an_unknown_name_does_not(name: str) -> None:
    """Images, tars and archives are told by their first bytes."""
    tar, packed = io.BytesIO(), io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w") as made:
        made.addfile(tarfile.TarInfo("x"))
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("x", "x")
    plain = tar.getvalue()
    for nature, data in (
        *((Nature.IMAGE, image_bytes(1, kind)) for kind in ("JPEG", "PNG", "GIF", "WEBP")),
        *((Nature.IMAGE, image_bytes(1, kind)) for kind in ("TIFF", "BMP", "PPM", "AVIF")),
        (Nature.TAR, plain),
        *((Nature.ARCHIVE, pack(plain)) for pack in (gzip.compress, bz2.compress, lzma.compress)),
        (Nature.ARCHIVE, packed.getvalue()),
        *(
            (Nature.OTHER, text)
            for text in (b"", b"BMW", b"P5 is a text", b"BM 1 2 3" + plain[:99])
        ),
    ):
        assert nature_of(name, lambda data=data: data[:512]) is nature, data[:20]  # type: ignore[misc]


def test_headers_of_two_letters_are_proved_by_what_follows() -> None:
    """BMP and PNM are told from texts that begin with the same letters."""
    for kind, name in (("BMP", "BMP"), ("PPM", "PNM")):
        found = sniff(image_bytes(1, kind)[:64])
        assert found is not None
        assert found.name == name
    assert [sniff(text) for text in (b"BM", b"BM" + bytes(62), b"P6", b"P4 Pentium")] == [None] * 4


@pytest.mark.parametrize("kind", ["gzip", "bzip2", "xz"])
@pytest.mark.parametrize("name", ["a b.tar.{}", "it's", "x.tar"])
def test_the_command_that_unpacks_runs_as_printed(kind: str, name: str, tmp_path: Path) -> None:
    """What is printed for a compressed file unpacks it, whatever its name."""
    ends = {"gzip": "gz", "bzip2": "bz2", "xz": "xz"}
    pack = {"gzip": gzip.compress, "bzip2": bz2.compress, "xz": lzma.compress}[kind]
    file = tmp_path / name.format(ends[kind])
    file.write_bytes(pack(b"what was in it"))
    archive = archive_of_name(file.name) or archive_of_head(file.read_bytes())
    assert archive is not None
    command = archive.command(file.name)
    assert shlex.quote(file.name) in command
    subprocess.run(command, shell=True, check=True, cwd=tmp_path)
    assert b"what was in it" in {path.read_bytes() for path in tmp_path.iterdir()}


def test_hidden_is_what_a_dot_or_macos_hides() -> None:
    """Hidden names, names below hidden folders and macOS's; '.' and '..' hide nothing."""
    hidden = ".a.jpg ._a.jpg a/.b/c.jpg .a/b.jpg __MACOSX/a.jpg x/__MACOSX/y/a.jpg ./.a"
    seen = "a.jpg ./a.jpg ../a.jpg a/../b.jpg a.b/c.jpg __MACOSX __MACOSX.jpg a/__MACOSX"
    assert all(map(is_hidden, hidden.split()))
    assert not any(map(is_hidden, seen.split()))


def test_kinds_are_suffixes_in_lower_case() -> None:
    """A suffix is short and plain; all else is a name without one."""
    names = {"a.TXT": ".txt", "a.b.Json": ".json", "a": "", ".a": "", "a.": "", "a.b c": ""}
    names |= {"a." + "x" * 30: "", "a.jpg_large": ".jpg_large", "._a.jpg": ".jpg", "a.\n": ""}
    assert {name: suffix_of(name) for name in names} == names
    assert [kind_of("a.TXT"), kind_of("a")] == [".txt", "no suffix"]
    assert [kind_of(".a.TXT", hidden=True), kind_of(".a", hidden=True)] == [
        "hidden .txt",
        "hidden no suffix",
    ]
    assert is_tar("a.TAR")
    assert not is_tar(".a.tar")


def test_any_number_of_suffixes_is_counted_in_bounded_memory() -> None:
    """Beyond some hundred kinds all are one, and none is lost; a line shows the largest."""
    kinds: dict[str, int] = {}
    for number in range(10_000):
        count(kinds, f".{number}")
    count(kinds, ".0", 5)
    assert sum(kinds.values()) == 10_005
    assert len(kinds) < 300
    assert listed({".b": 2, ".a": 2, ".c": 7}) == ".c 7, .a 2, .b 2"
    assert listed({f".{n}": 1 for n in range(5)}, most=2) == ".0 1, .1 1, other kinds 3"
