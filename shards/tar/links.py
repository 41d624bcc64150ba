"""Links in a tar: resolved to the members that they would refer to after unpacking."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING, Final

from shards.errors import DamageError
from shards.paths import shown
from shards.tar.walk import Kind, Member, all_members

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

_MOST_STEPS: Final = 40
"""Maximum length of a chain of links, as on Linux."""
_FILES: Final = (Kind.FILE, Kind.UNKNOWN)


class Links:
    """Resolves links.

    A hard link refers to the last earlier member of its target's name, a symbolic link to the
    last member of that name: this is the result of unpacking. Names are compared without './'
    and a leading '/', which not all writers include.

    Args:
        members: the members of the tar, in order.
    """

    def __init__(self, members: Iterable[Member]) -> None:
        self._named: dict[str, list[Member]] = {}
        for member in members:
            self._named.setdefault(_plain(member.name), []).append(member)
        self._folders: frozenset[str] | None = None

    def resolve(self, link: Member) -> Member | str:
        """The regular file that a link refers to, or one line on why there is none."""
        told = f"a link to '{shown(link.target)}'"
        member, seen = link, {link.offset}
        while member.kind not in _FILES:
            found = self._next(member) if member.kind in (Kind.LINK, Kind.SYMLINK) else None
            if found is None:
                return f"{told}, which is {member.kind.value} in the tar"
            if isinstance(found, str):
                return f"{told}, {found}"
            if found.offset in seen or len(seen) > _MOST_STEPS:
                return f"{told}, which leads back to itself"
            seen.add(found.offset)
            member = found
        return member

    def _next(self, link: Member) -> Member | str:
        """Follow one link of the chain."""
        if link.kind is Kind.LINK:
            named = self._named.get(_plain(link.target), [])
            before = [member for member in named if member.offset < link.offset]
            if named:
                return before[-1] if before else named[0]
            return self._absence(_plain(link.target))
        if link.target.startswith("/"):
            named = self._named.get(_plain(link.target), [])
            absolute = [member for member in named if member.name.startswith("/")]
            return absolute[-1] if absolute else "which points outside the tar"
        path = self._path(posixpath.join(posixpath.dirname(_plain(link.name)), link.target))
        if path is None:
            return "which leads back to itself"
        named = self._named.get(path, [])
        return named[-1] if named else self._absence(path)

    def _path(self, path: str) -> str | None:
        """A path with its links to folders resolved; None if they form a cycle."""
        parts, steps = path.split("/")[::-1], 0
        done: list[str] = []
        while parts:
            part = parts.pop()
            if part in ("", "."):
                continue
            if part == ".." and done and done[-1] != "..":
                done.pop()
                continue
            done.append(part)
            there = self._named.get("/".join(done)) if parts else None
            if there and there[-1].kind is Kind.SYMLINK and not there[-1].target.startswith("/"):
                done.pop()
                parts += there[-1].target.split("/")[::-1]
                steps += 1
                if steps > _MOST_STEPS:
                    return None
        return "/".join(done)

    def _absence(self, path: str) -> str:
        if self._folders is None:
            self._folders = frozenset(
                folder for name in self._named for folder in _folders_above(name)
            )
        if path in self._folders:
            return "which is a folder in the tar"
        outside = path.startswith("..")
        return "which points outside the tar" if outside else "which is not in the tar"


def read_links(file: Path) -> Links:
    """Index the members of a tar, up to the first damage, for resolving links.

    Raises:
        OSError: as for `all_members`.
    """
    return Links(_until_damage(all_members(file)))


def _until_damage(members: Iterator[Member]) -> Iterator[Member]:
    try:
        yield from members
    except DamageError:
        return


def _folders_above(name: str) -> Iterator[str]:
    at = name.find("/")
    while at > 0:
        yield name[:at]
        at = name.find("/", at + 1)


def _plain(name: str) -> str:
    return posixpath.normpath(name.lstrip("/") or ".")
