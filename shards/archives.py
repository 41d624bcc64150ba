"""Archives and compressed files: they may hold images, but must be unpacked first.

Source of the signatures: file(1)'s magic (`archive`, `compress`).
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import Final

HEAD_BYTES: Final = 512
"""Leading bytes that `archive_of_head` and `is_tar_head` examine: the length of a tar header."""


@dataclass(frozen=True, slots=True)
class Archive:
    """One kind of archive.

    Attributes:
        kind: what it is, such as 'a ZIP archive'.
        suffixes: file name suffixes, lower case.
        signatures: possible first bytes; () if only the name identifies it.
        program: the command that unpacks it; the file name is appended.
        stream: it is a single compressed file, whose program relies on the name's suffix.
    """

    kind: str
    suffixes: tuple[str, ...]
    signatures: tuple[bytes, ...]
    program: str
    stream: bool = False

    def command(self, name: str) -> str:
        """Shell command that unpacks a file of this kind."""
        quoted = shlex.quote(name) if name.isprintable() else "FILE"
        if not self.stream or name.lower().endswith(_STREAM_SUFFIXES):
            return f"{self.program} {quoted}"
        return f"{self.program} < {quoted} > {quoted}.unpacked"


_COMPRESSIONS: Final = (
    ("gzip", ("gz", "tgz", "taz"), (b"\x1f\x8b",), "gunzip"),
    ("bzip2", ("bz2", "tbz", "tbz2"), (b"BZh",), "bunzip2"),
    ("xz", ("xz", "txz"), (b"\xfd7zXZ\0",), "unxz"),
    ("zstd", ("zst", "tzst"), (b"\x28\xb5\x2f\xfd",), "unzstd"),
    ("lz4", ("lz4",), (b"\x04\x22\x4d\x18",), "unlz4"),
    ("lzip", ("lz",), (b"LZIP",), "lzip -d"),
    ("lzma", ("lzma", "tlz"), (), "unlzma"),
    ("compress", ("z",), (b"\x1f\x9d",), "uncompress"),
)
"""Name, suffix of any file, suffixes of tars, first bytes, command."""
_STREAM_SUFFIXES: Final = tuple(f".{end}" for _, ends, _, _ in _COMPRESSIONS for end in ends)
_STREAMS: Final = tuple(
    Archive(f"compressed with {name}", (f".{ends[0]}",), signatures, program, stream=True)
    for name, ends, signatures, program in _COMPRESSIONS
)
_TARS: Final = tuple(
    Archive(
        f"a tar compressed with {name}",
        (f".tar.{ends[0]}", *(f".{end}" for end in ends[1:])),
        signatures,
        program,
        stream=True,
    )
    for name, ends, signatures, program in _COMPRESSIONS
)
_ARCHIVES: Final = (
    Archive(
        "a ZIP archive",
        (".zip", ".zipx", ".cbz"),
        (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08"),  # ordinary, empty, one of several volumes
        "unzip",
    ),
    Archive("a 7z archive", (".7z", ".cb7"), (b"7z\xbc\xaf\x27\x1c",), "7z x"),
    Archive("a RAR archive", (".rar", ".cbr"), (b"Rar!\x1a\x07",), "unrar x"),
    Archive("a cabinet archive", (".cab",), (b"MSCF\0\0\0\0",), "cabextract"),
    Archive("a cpio archive", (".cpio",), (b"070701", b"070702", b"070707"), "cpio -idF"),
    Archive("an ARJ archive", (".arj",), (), "7z x"),
    Archive("an LHA archive", (".lha", ".lzh"), (), "7z x"),
    Archive("a disk image", (".iso", ".dmg"), (), "7z x"),
    Archive("a SquashFS image", (".squashfs", ".sqsh"), (b"hsqs",), "unsquashfs"),
)

COMPRESSED_TAR_SUFFIXES: Final = tuple(suffix for one in _TARS for suffix in one.suffixes)
"""File name suffixes of compressed tars, lower case."""
STREAM_SUFFIXES: Final = tuple(suffix for one in _STREAMS for suffix in one.suffixes)
"""File name suffixes of single compressed files."""
# Tars first: '.tar.gz' also ends in '.gz'.
_BY_SUFFIX: Final = tuple(
    (suffix, one) for one in (*_TARS, *_ARCHIVES, *_STREAMS) for suffix in one.suffixes
)
ARCHIVE_SUFFIXES: Final = tuple(suffix for suffix, _ in _BY_SUFFIX)
"""File name suffixes of archives, lower case."""
_BY_HEAD: Final = tuple(
    (signature, one) for one in (*_ARCHIVES, *_STREAMS) for signature in one.signatures
)


def archive_of_name(name: str) -> Archive | None:
    """The archive kind that a file name indicates, ignoring case; None for any other name."""
    lower = name.lower()
    if not lower.endswith(ARCHIVE_SUFFIXES):
        return None
    return next(one for suffix, one in _BY_SUFFIX if lower.endswith(suffix))


def archive_of_head(head: bytes) -> Archive | None:
    """The archive or compression kind that a file's first bytes prove; None if they prove none.

    Args:
        head: the first `HEAD_BYTES` bytes, or all of a shorter file.
    """
    return next((one for signature, one in _BY_HEAD if head.startswith(signature)), None)


def is_tar_head(head: bytes) -> bool:
    """Whether a file begins with a tar header as written by POSIX or GNU tar."""
    return head[257:262] == b"ustar"
