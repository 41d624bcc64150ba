"""The tar format: the headers that shards are written with, and a walk over anyone's tar.

Source: POSIX.1-2017, pax, "ustar Interchange Format" and "pax Header Block"; GNU tar 1.35 manual,
"Basic Tar Format", for long names and binary sizes.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final, NamedTuple

from shards.errors import DamageError
from shards.paths import shown

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BLOCK: Final = 512
RECORD: Final = 20 * BLOCK
"""Archives are filled up with zeros to a multiple of this, as tar and tarfile do."""
MAX_MEMBER_BYTES: Final = 8**11 - 1
"""What the size field of a USTAR header can hold."""

_MODE_AND_OWNER: Final = b"0000644\0" + 2 * b"0000000\0"
_TIME: Final = b"00000000000\0"
_REST: Final = (b"0" + bytes(100) + b"ustar\x0000").ljust(BLOCK - 156, b"\0")
_FIXED_SUM: Final = sum(_MODE_AND_OWNER) + sum(_TIME) + sum(_REST) + 8 * ord(" ")

_COMPRESSED: Final = {
    b"\x1f\x8b": ("gzip", "gunzip"),
    b"BZh": ("bzip2", "bunzip2"),
    b"\xfd7zXZ\0": ("xz", "unxz"),
    b"\x28\xb5\x2f\xfd": ("zstd", "unzstd"),
}
_LARGEST_NAME: Final = 1 << 20
"""Bytes; a longer pax header or long name is damage, not a name."""
_LARGEST_END: Final = 1 << 20
"""Bytes of zeros that a writer may end with: tar fills up to its blocking factor."""


class Member(NamedTuple):
    """One ordinary file in a tar.

    Attributes:
        name: as the tar has it; bytes that are not UTF-8 are surrogate-escaped.
        offset: where its bytes start in the tar.
        size: how many bytes.
    """

    name: str
    offset: int
    size: int


def header(name: str, size: int) -> bytes:
    """Make the USTAR header of an ordinary file: mode 644, owner 0, time 0.

    Equal to `tarfile.TarInfo.tobuf(USTAR_FORMAT)` byte for byte, at a tenth of its time: three
    headers a picture are written.

    Args:
        name: ASCII, at most 100 characters.
        size: bytes, at most `MAX_MEMBER_BYTES`.
    """
    field = name.encode("ascii")
    if len(field) > 100 or not 0 <= size <= MAX_MEMBER_BYTES:
        raise ValueError(f"no USTAR header holds the name {name!r} with {size} bytes")
    octal = b"%011o\0" % size
    checksum = b"%06o\0 " % (_FIXED_SUM + sum(field) + sum(octal))
    return b"".join((field.ljust(100, b"\0"), _MODE_AND_OWNER, octal, _TIME, checksum, _REST))


def padding(size: int) -> bytes:
    """The zeros that fill a member up to whole blocks."""
    return bytes(-size % BLOCK)


def end(size: int) -> bytes:
    """The zeros that end an archive of `size` bytes so far: two blocks, then up to a record."""
    return bytes(2 * BLOCK + -(size + 2 * BLOCK) % RECORD)


class CompressedTarError(DamageError):
    """A tar that has to be unpacked before anything can be found in it."""


def members(file: Path) -> Iterator[Member]:
    """Walk the ordinary files of a tar without reading their bytes.

    USTAR, old tar, pax and GNU long names are understood; folders, links and devices are left
    out.

    Raises:
        DamageError: the tar cannot be read, is cut short, damaged or not a tar, or holds sparse
            files. The members before the damage have been yielded.
        CompressedTarError: it is compressed.
    """
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
        try:
            yield from _walk(descriptor, file.name)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise DamageError(f"{file.name}: cannot be read: {error.strerror}.") from error


def _walk(descriptor: int, tar: str) -> Iterator[Member]:
    length = os.fstat(descriptor).st_size
    at = 0
    long: dict[str, str] = {}
    while True:
        block = os.pread(descriptor, BLOCK, at)
        if len(block) < BLOCK:
            raise _cut(block, tar, at)
        if block == bytes(BLOCK):
            _check_end(descriptor, tar, at, length)
            return
        name, size, kind = _parse(block, tar, at)
        start = at + BLOCK
        if kind in b"xXL":
            at = start + size + -size % BLOCK
            extra = _extra(descriptor, tar, start, size)
            long |= _pax(extra, tar) if kind != b"L" else {"path": _text(extra)}
            continue
        name, size = long.get("path", name), int(long.get("size", size))
        _refuse_sparse(kind, long, tar, name)
        at = start + (0 if kind in b"123456" else size + -size % BLOCK)
        if start + size > length and at > start:
            raise DamageError(
                f"{tar}: cut short: '{shown(name)}' should end at byte {start + size} and the "
                f"file ends at {length}. Copy or pack it again."
            )
        # A folder in tars from before POSIX is an ordinary file whose name ends in '/'.
        if kind in b"0\x007" and not name.endswith("/"):
            yield Member(name, start, size)
        if long and kind not in b"gK":
            long = {}


def _parse(block: bytes, tar: str, at: int) -> tuple[str, int, bytes]:
    """Return name, size and type of one header.

    Raises:
        DamageError: it is not a header.
    """
    stated = _octal(block[148:156])
    # The checksum was taken with blanks in its own place.
    if stated != sum(block) - sum(block[148:156]) + 8 * ord(" "):
        raise _not_a_header(block, tar, at)
    binary = block[124] == 0x80
    size = int.from_bytes(block[125:136], "big") if binary else _octal(block[124:136])
    if size < 0:
        raise _not_a_header(block, tar, at)
    name = _text(block[:100])
    if block[257:263] == b"ustar\0" and block[345]:
        name = f"{_text(block[345:500])}/{name}"
    return name, size, block[156:157]


def _octal(field: bytes) -> int:
    """The number in a header's field; -1 where there is none to read."""
    try:
        return int(field.strip(b" \0") or b"0", 8)
    except ValueError:
        return -1


def _not_a_header(block: bytes, tar: str, at: int) -> DamageError:
    for magic, (kind, cure) in _COMPRESSED.items():
        if at == 0 and block.startswith(magic):
            return CompressedTarError(
                f"{tar}: compressed with {kind}, so no picture can be found in it. Run {cure}."
            )
    if at == 0:
        return DamageError(f"{tar}: not a tar (its first header is none). Copy it again.")
    return DamageError(
        f"{tar}: damaged: no header where one must be, at byte {at}. Copy or pack it again."
    )


def _cut(block: bytes, tar: str, at: int) -> DamageError:
    """Explain a file that ends where a header should be."""
    if at == 0 and block:
        return _not_a_header(block, tar, at)
    return DamageError(
        f"{tar}: cut short: it ends at byte {at + len(block)} without an end mark. Copy or pack it "
        "again."
    )


def _check_end(descriptor: int, tar: str, at: int, length: int) -> None:
    """Refuse what a reader would not see: tars joined end to end, or a copy filled with zeros."""
    rest = length - at
    if rest > _LARGEST_END or os.pread(descriptor, rest, at).strip(b"\0"):
        raise DamageError(
            f"{tar}: damaged: its end mark stands at byte {at} of {length}; what follows is not "
            "read. Copy or pack it again."
        )


def _extra(descriptor: int, tar: str, start: int, size: int) -> bytes:
    """The bytes of a pax header or a long name."""
    data = os.pread(descriptor, size, start) if size <= _LARGEST_NAME else b""
    if len(data) < size:
        raise DamageError(
            f"{tar}: cut short or damaged: an extended header of {size} bytes at byte {start} is "
            "not there. Copy or pack it again."
        )
    return data


def _pax(data: bytes, tar: str) -> dict[str, str]:
    """Parse the records of a pax header: length, blank, key, '=', value, line end."""
    found: dict[str, str] = {}
    at = 0
    while at < len(data) and data[at]:
        length, blank, rest = data[at:].partition(b" ")
        stop = int(length) if length.isdigit() else 0
        key, equals, value = rest[: max(stop - len(length) - 2, 0)].partition(b"=")
        if not (blank and equals) or (key == b"size" and not value.isdigit()):
            raise DamageError(f"{tar}: damaged: a pax header makes no sense. Copy it again.")
        found[_utf8(key)] = _utf8(value)
        at += stop
    return found


def _refuse_sparse(kind: bytes, long: dict[str, str], tar: str, name: str) -> None:
    if kind == b"S" or any(key.startswith("GNU.sparse") for key in long):
        raise DamageError(
            f"{tar}: '{shown(name)}' is stored as a sparse file, which is not read, nor what "
            "follows it. Make the tar again without --sparse."
        )


def _text(field: bytes) -> str:
    return _utf8(field.partition(b"\0")[0])


def _utf8(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")
