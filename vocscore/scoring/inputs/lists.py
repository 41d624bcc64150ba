"""Reads lists of paths, one per line, as written by people and other tools."""

from __future__ import annotations

import codecs
import os
import posixpath
import re
import stat
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from shards.archives import ARCHIVE_SUFFIXES, archive_of_name
from shards.errors import Fault, Reason
from shards.file_kinds import count
from shards.paths import shown
from shards.remote.places import REFUSED, has_secret, is_http, is_remote, redacted
from shards.remote.signed import is_signed
from vocscore.errors import ScoreError
from vocscore.scoring.inputs.collector import NAMES_BETWEEN_CALLS, Collector
from vocscore.scoring.inputs.urls import refusal_of_url, scheme_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

LIST_SUFFIXES: Final = (".txt", ".lst", ".list")
"""Suffixes of lists, in lower case."""

_UNUSUAL: Final = re.compile(
    r"""^[\s#"'~]|[\s"'/]$|^[A-Za-z][\w+.-]*:|%[0-9A-Fa-f]{2}|[\\\t\r,;]|\s[-+.\d]+$"""
)
"""What paths rarely contain, but other notations do. Only such lines are checked against the files
on the disk: checking a million files takes too long."""
_PACKED: Final = (".tar", *ARCHIVE_SUFFIXES)
_INDEXED: Final = re.compile(r"\d+\t(?:[-+.\deE]+\t)+(?P<path>.+)")
"""MXNet's format: index, label or labels, path."""
_NUMBERED: Final = re.compile(r"(?P<path>.+?)(?:\s+[-+]?\d+(?:\.\d+)?)+")
"""Caffe's format: path, label or labels."""
_COLUMNS: Final = re.compile(r"(?P<path>[^\t,;]+)[\t,;].*")
"""A column of paths, followed by others."""
_LONGEST: Final = 8192
"""Characters; no system accepts a path this long."""
_WINDOWS: Final = re.compile(r"[A-Za-z]:[\\/]|\\\\")


@dataclass
class Listed:
    """The paths in a list.

    Attributes:
        names: one per row, as written if that is a path; absolute, or relative to `root`.
        faults: faults of those names that clearly cannot be read.
        skipped: kind -> number of lines that are not paths.
        notes: warnings for the user, one line each.
        signed: whether some names are web addresses with signatures or secrets.
    """

    names: Sequence[str] = ()
    faults: dict[str, Fault] = field(default_factory=dict)
    skipped: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    signed: bool = False


def read_list(lines: Iterable[bytes], where: str, *, root: str) -> Listed:
    r"""Read a list.

    A line is used as written if there is such a file, or if it looks like an ordinary path.
    Otherwise it is tried without surrounding blanks, without quotes, with '~' for the home folder,
    as a file:// URL, with %20 for a blank, with '\' for '/', and with a label beside it; a line
    that starts with '#' is a comment. URLs, and all lines if `root` is one, are used as written.

    Args:
        lines: lines with their Unix or Windows line ends.
        where: name of the list in messages.
        root: folder that relative paths are relative to; a path or a URL.

    Raises:
        ScoreError: it contains no path, or a zero byte.
    """
    found, names = Listed(), Collector(ordered=True)
    other: list[tuple[int, str, str]] = []
    for number, line in _lines(lines, where):
        if number % NAMES_BETWEEN_CALLS == 0:
            names.relieve()
        if is_plain(line) and not ("?" in line and is_http(root)):
            names.recent.append(line)
            continue
        if is_remote(line) and not is_http(line) and has_secret(line):
            raise ScoreError(f"{where}, line {number}: {shown(redacted(line))}: {REFUSED}.")
        name = _read_line(line, root, found)
        if name is None:
            continue
        names.recent.append(name)
        if name != line:
            other.append((number, line, name))
    found.names = names.names()
    if not found.names:
        raise ScoreError(f"{where}: contains no path. A list has one path per line.")
    if other:
        number, line, name = other[0]
        found.notes.append(
            f"{where}: {len(other)} of its lines name no file as written and were interpreted, the "
            f"first (line {number}) '{shown(line)}' as '{shown(name)}'"
        )
    return found


def is_plain(path: str) -> bool:
    """Whether a path looks ordinary and is used as written, without checking the disk."""
    return not (_UNUSUAL.search(path) or path.lower().endswith(_PACKED))


def fault_of(path: str, *, root: str = "") -> Fault | None:
    """Return what is wrong with a path, as far as its name or its type on the disk show it.

    Args:
        path: absolute, or relative to `root`.
        root: a folder.
    """
    return _unfit(path, root) if os.path.lexists(posixpath.join(root, path)) else _absent(path)


def _lines(lines: Iterable[bytes], where: str) -> Iterator[tuple[int, str]]:
    """Yield lines without line ends and byte order mark; empty ones are left out."""
    for number, line in enumerate(lines, 1):
        path = line.removesuffix(b"\n").removesuffix(b"\r")
        if number == 1:
            path = path.removeprefix(codecs.BOM_UTF8)
        if b"\0" in path:
            raise ScoreError(
                f"{where}, line {number}: contains a zero byte, as no path does. A list is UTF-8 "
                "with one path per line (not 'find -print0', not UTF-16)."
            )
        # With line ends of classic Mac OS the whole file is one line.
        yield from ((number, os.fsdecode(piece)) for piece in path.split(b"\r") if piece.strip())


def _read_line(line: str, root: str, found: Listed) -> str | None:
    """Return the name used for a line that may not be a path as written, and note its fault."""
    remote = is_remote(root)
    if not remote and os.path.lexists(posixpath.join(root, line)):
        name, fault = line, _unfit(line, root)
    elif line.startswith("#"):
        count(found.skipped, "comment lines")
        return None
    elif remote or is_remote(line):  # a look at every unusual line would take a request each
        name, fault = line, _unfit_name(line)
        found.signed = found.signed or is_signed(line if is_remote(line) else f"{root}/{line}")
    else:
        name, fault = _interpreted(line, root)
    if fault is not None:
        found.faults[name] = fault
    return name


def _unfit(name: str, root: str) -> Fault | None:
    """Return what is wrong with an existing file, as far as its name and type show it."""
    if _status_says(stat.S_ISDIR, posixpath.join(root, name)):
        detail = "a folder, not a file. Name it as SRC, or list its files"
        return Fault(Reason.UNREADABLE, detail)
    return _unfit_name(name)


def _unfit_name(name: str) -> Fault | None:
    """Return what is wrong with a file, as far as its name shows it."""
    if name.lower().endswith(".tar"):
        return Fault(Reason.UNSUPPORTED, "a tar; a list can only name images. Name it as SRC")
    if (archive := archive_of_name(name)) is not None:
        detail = f"{archive.kind}, which is not read. Unpack it: {archive.program}"
        return Fault(Reason.UNSUPPORTED, detail)
    return None


def _interpreted(line: str, root: str) -> tuple[str, Fault | None]:
    """Return the path that a line means, or the line itself and what is wrong with it."""
    if len(line) > _LONGEST:
        return line, None
    for reading in _readings(line):
        if _status_says(stat.S_ISREG, posixpath.join(root, reading)):
            return reading, None
    if (indexed := _INDEXED.fullmatch(line)) is not None:
        return indexed["path"], None
    return line, _absent(line)


def _absent(path: str) -> Fault | None:
    """Return why a path does not exist, if its form explains it."""
    if scheme_of(path) not in (None, "file"):
        return Fault(Reason.UNSUPPORTED, str(refusal_of_url(path)))
    if _WINDOWS.match(path):
        return Fault(Reason.VANISHED, "no such file: a Windows path")
    return None


def _status_says(is_kind: Callable[[int], bool], path: str) -> bool:
    try:
        return is_kind(os.stat(path).st_mode)  # noqa: PTH116 - a Path raises on invalid paths
    except (OSError, ValueError):
        return False


def _readings(line: str) -> Iterator[str]:
    """Yield other interpretations of a line, the likeliest first."""
    plain = _unquoted(line.strip())
    yield plain
    yield from _as_path(plain)
    for pattern in (_INDEXED, _NUMBERED, _COLUMNS):
        if (match := pattern.fullmatch(plain)) is not None:
            path = _unquoted(match["path"].strip())
            yield path
            yield from _as_path(path)


def _as_path(text: str) -> Iterator[str]:
    yield posixpath.expanduser(text)
    if scheme_of(text) == "file":
        yield unquote(re.sub(r"^file:(//(localhost)?(?=/))?", "", text, flags=re.IGNORECASE))
    yield unquote(text)
    yield text.replace("\\", "/")


def _unquoted(text: str) -> str:
    quoted = len(text) > 1 and text[0] == text[-1] and text[0] in "\"'"
    return text[1:-1] if quoted else text
