"""Walks the members of any tar, with their locations, without reading their bytes.

Source: POSIX.1-2017, pax, "ustar Interchange Format" and "pax Header Block"; GNU tar 1.35 manual,
"Basic Tar Format", for long names and binary sizes.
"""

from __future__ import annotations

import os
from enum import Enum
from typing import TYPE_CHECKING, Final, NamedTuple

from shards.archives import archive_of_head
from shards.errors import DamageError
from shards.files import open_regular
from shards.paths import shown
from shards.tar.ustar import BLOCK

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_ZEROS: Final = bytes(BLOCK)
_LARGEST_NAME: Final = 1 << 20
"""Bytes; a longer pax header or long name is taken for damage."""
_LARGEST_END: Final = 1 << 20
"""Maximum zero bytes at the end: tar pads to its blocking factor."""


class Kind(Enum):
    """The type of a tar member."""

    FILE = "an ordinary file"
    LINK = "a hard link"
    SYMLINK = "a symbolic link"
    FOLDER = "a folder"
    PIPE = "a named pipe"
    DEVICE = "a device"
    PART = "a part of a file or of the archive's description"
    UNKNOWN = "of a type that POSIX does not define, to be treated as an ordinary file"


_KINDS: Final = {
    b"0": Kind.FILE,
    b"\0": Kind.FILE,
    b"7": Kind.FILE,
    b"1": Kind.LINK,
    b"2": Kind.SYMLINK,
    b"3": Kind.DEVICE,
    b"4": Kind.DEVICE,
    b"5": Kind.FOLDER,
    b"6": Kind.PIPE,
    b"D": Kind.FOLDER,
    **dict.fromkeys((b"M", b"N", b"V", b"g"), Kind.PART),
}
_GNU: Final = {b"L": "path", b"K": "linkpath"}
"""GNU types of long names and link targets, with the corresponding pax keys."""


class Member(NamedTuple):
    """One member of a tar.

    Attributes:
        name: as stored in the tar; bytes that are not UTF-8 are surrogate-escaped.
        offset: position of its first byte in the tar; unique per member.
        size: bytes.
        kind: its type.
        target: the target of a link, as stored in the tar; else ''.
    """

    name: str
    offset: int
    size: int
    kind: Kind = Kind.FILE
    target: str = ""


class CompressedTarError(DamageError):
    """A tar that must be decompressed before its members can be listed."""


def members(file: Path) -> Iterator[Member]:
    """Walk the regular files of a tar without reading their bytes.

    Folders, links and devices are skipped, as in every reader of WebDataset tars.

    Raises:
        DamageError, CompressedTarError: as for `all_members`.
    """
    return (member for member in all_members(file) if member.kind is Kind.FILE)


def all_members(file: Path) -> Iterator[Member]:
    """Walk all members of a tar without reading their bytes.

    USTAR, old tar, pax and GNU long names are supported.

    Raises:
        DamageError: the tar cannot be read, is truncated, damaged or not a tar, or holds sparse
            files. The members before the damage have been yielded.
        CompressedTarError: it is compressed.
    """
    try:
        descriptor = open_regular(file)
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
        if block == _ZEROS:
            _check_end(descriptor, tar, at, length)
            return
        name, size, flag = _parse(block, tar, at)
        start = at + BLOCK
        if flag in b"xXLK":
            at = start + size + -size % BLOCK
            extra = _extra(descriptor, tar, start, size)
            key = _GNU.get(flag)
            long |= {key: _text(extra)} if key else _pax(extra, tar)
            continue
        name, size = long.get("path", name), int(long.get("size", size))
        _refuse_sparse(flag, long, tar, name)
        kind = _KINDS.get(flag, Kind.UNKNOWN)
        at = start + (0 if flag in b"123456" else size + -size % BLOCK)
        if at > start:
            _refuse_cut(name, start + size, length, tar)
        if flag == b"g":  # global header of the archive
            continue
        # In pre-POSIX tars a folder is a regular file whose name ends in '/'.
        if kind is Kind.FILE and name.endswith("/"):
            kind = Kind.FOLDER
        target = long.get("linkpath", _text(block[157:257])) if flag in b"12" else ""
        yield Member(name, start, size, kind, target)
        if long:
            long = {}


def _parse(block: bytes, tar: str, at: int) -> tuple[str, int, bytes]:
    """Return name, size and type of one header.

    Raises:
        DamageError: it is not a header.
    """
    # The checksum is computed with its own field filled with blanks.
    if _octal(block[148:156]) != sum(block) - sum(block[148:156]) + 8 * ord(" "):
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
    """The number in a header field; -1 if it is invalid."""
    try:
        return int(field.strip(b" \0") or b"0", 8)
    except ValueError:
        return -1


def _not_a_header(block: bytes, tar: str, at: int) -> DamageError:
    packed = archive_of_head(block) if at == 0 else None
    if packed is not None:
        return CompressedTarError(
            f"{tar}: {packed.kind}, so its images cannot be listed. Run {packed.program}."
        )
    if at == 0:
        return DamageError(f"{tar}: not a tar (its first header is invalid). Copy it again.")
    return DamageError(
        f"{tar}: damaged: no valid header at byte {at}, where one must be. Copy or pack it again."
    )


def _cut(block: bytes, tar: str, at: int) -> DamageError:
    """The error for a file that ends where a header should be."""
    if at == 0 and block:
        return _not_a_header(block, tar, at)
    return DamageError(
        f"{tar}: truncated: it ends at byte {at + len(block)} without an end marker. Copy or pack "
        "it again."
    )


def _refuse_cut(name: str, end: int, length: int, tar: str) -> None:
    if end > length:
        raise DamageError(
            f"{tar}: truncated: '{shown(name)}' should end at byte {end}, but the file ends at "
            f"{length}. Copy or pack it again."
        )


def _check_end(descriptor: int, tar: str, at: int, length: int) -> None:
    """Refuse data that would be skipped silently: concatenated tars, a copy padded with zeros."""
    rest = length - at
    if rest > _LARGEST_END or os.pread(descriptor, rest, at).strip(b"\0"):
        raise DamageError(
            f"{tar}: damaged: its end marker is at byte {at} of {length}; the data after it is "
            "not read. Copy or pack it again."
        )


def _extra(descriptor: int, tar: str, start: int, size: int) -> bytes:
    """The bytes of a pax header or a long name."""
    data = os.pread(descriptor, size, start) if size <= _LARGEST_NAME else b""
    if len(data) < size:
        raise DamageError(
            f"{tar}: truncated or damaged: the extended header of {size} bytes at byte {start} is "
            "incomplete. Copy or pack it again."
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
            raise DamageError(f"{tar}: damaged: a pax header is invalid. Copy it again.")
        found[_utf8(key)] = _utf8(value)
        at += stop
    return found


def _refuse_sparse(flag: bytes, long: dict[str, str], tar: str, name: str) -> None:
    if flag == b"S" or any(key.startswith("GNU.sparse") for key in long):
        raise DamageError(
            f"{tar}: '{shown(name)}' is stored as a sparse file, which is not read, nor are the "
            "members after it. Create the tar again without --sparse."
        )


def _text(field: bytes) -> str:
    return _utf8(field.partition(b"\0")[0])


def _utf8(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")
