"""Archives and compressed files: images may be in them, and have to be unpacked first.

Source of the signatures: file(1)'s magic (`archive`, `compress`).
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import Final

HEAD_BYTES: Final = 512
"""As many first bytes as `archive_of_head` and `is_tar_head` look at: a tar's header."""


@dataclass(frozen=True, slots=True)
class Archive:
    """One kind of archive.

    Attributes:
        kind: what it is, such as 'a ZIP archive'.
        suffixes: ends of file names, lower case.
        signatures: what its first bytes may be; () where only the name tells.
        program: the command that unpacks it; the file's name is put behind.
        stream: it is one compressed file, and its program goes by the name's suffix.
    """

    kind: str
    suffixes: tuple[str, ...]
    signatures: tuple[bytes, ...]
    program: str
    stream: bool = False

    def command(self, name: str) -> str:
        """The command that unpacks a file of this kind, as a shell takes it."""
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
"""What the name of a compressed tar ends in, in lower case."""
STREAM_SUFFIXES: Final = tuple(suffix for one in _STREAMS for suffix in one.suffixes)
"""What the name of one compressed file ends in."""
# Those of tars first: '.tar.gz' ends in '.gz', too.
_BY_SUFFIX: Final = tuple(
    (suffix, one) for one in (*_TARS, *_ARCHIVES, *_STREAMS) for suffix in one.suffixes
)
ARCHIVE_SUFFIXES: Final = tuple(suffix for suffix, _ in _BY_SUFFIX)
"""What the name of an archive ends in, in lower case."""
_BY_HEAD: Final = tuple(
    (signature, one) for one in (*_ARCHIVES, *_STREAMS) for signature in one.signatures
)


def archive_of_name(name: str) -> Archive | None:
    """The archive that a file's name promises, in any case; None where it promises none."""
    lower = name.lower()
    if not lower.endswith(ARCHIVE_SUFFIXES):
        return None
    return next(one for suffix, one in _BY_SUFFIX if lower.endswith(suffix))


def archive_of_head(head: bytes) -> Archive | None:
    """The archive or the compression that a file's first bytes prove; None where they prove none.

    Args:
        head: `HEAD_BYTES` of them, or as many as there are.
    """
    return next((one for signature, one in _BY_HEAD if head.startswith(signature)), None)


def is_tar_head(head: bytes) -> bool:
    """Whether a file begins with the header of a tar, as POSIX and GNU tar write it."""
    return head[257:262] == b"ustar"
