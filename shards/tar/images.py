"""Finds the members of a tar that are images, without reading an image."""

from __future__ import annotations

import json
import os
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from shards.archives import HEAD_BYTES
from shards.errors import DamageError, Fault, Reason
from shards.file_kinds import Nature, count, is_hidden, kind_of, nature_of
from shards.files import open_regular
from shards.index import group
from shards.members import DESCRIPTION, hash_in
from shards.packed_set import is_own_shard, manifest_of
from shards.paths import first_names, is_image
from shards.sample import ImageRef
from shards.tar.links import read_links
from shards.tar.walk import CompressedTarError, Kind, Member, all_members, members

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from shards.raw_images import RawForm

_KINDS: Final = {
    Kind.PIPE: "named pipes",
    Kind.DEVICE: "devices",
    Kind.PART: "parts of files or of the archive",
}


@dataclass(frozen=True)
class TarListing:
    """The images of one tar.

    Attributes:
        images: in tar order; each image of a sample is a separate entry. A member that is an
            image by its name but has no bytes to read has a fault.
        damage: one line on why the tar was not read to its end, or None.
        skipped: number of non-image members by kind; empty for a packed set.
        notes: lines for the user about the contents of the tar.
    """

    images: tuple[ImageRef, ...]
    damage: str | None
    skipped: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def list_tar(file: Path) -> TarListing:
    """Find the images of any WebDataset tar, without reading an image.

    Images are recognized by name, else by their first bytes; a link stands for its target image.
    An image of a packed set (whose `dataset.json` is beside the tar) is named by its original
    path, and has its hash if the set was packed with verification; any other, and one whose
    description is missing or damaged, is named 'TAR/MEMBER'.
    Hidden members are skipped.

    Args:
        file: the tar.

    Returns:
        The images up to the first damage, and that damage.

    Raises:
        CompressedTarError: the tar is compressed.
        DamageError: the `dataset.json` beside it is ours and damaged.
    """
    own = is_own_shard(file)
    found = _Found(file)
    damage = None
    try:
        descriptor = open_regular(file)
        try:
            if own:
                _read_own(found, descriptor)
            else:
                _read_any(found, descriptor)
        finally:
            os.close(descriptor)
    except CompressedTarError:
        raise
    except DamageError as error:
        damage = str(error)
    except OSError as error:
        damage = f"{file.name}: cannot be read: {error.strerror}."
    return TarListing(tuple(found.refs), damage, found.skipped, found.notes())


def _read_own(found: _Found, descriptor: int) -> None:
    manifest = manifest_of(found.file.parent)
    raw = None if manifest is None else manifest.raw
    verified = manifest is not None and manifest.verified
    for sample in group(members(found.file)):
        path = sha256 = None
        if sample[-1].extension == DESCRIPTION:
            path, sha256 = _told(os.pread(descriptor, sample[-1].size, sample[-1].offset))
        image = sample[0]
        found.add(
            image.name,
            image.offset,
            image.size,
            path=path,
            raw=raw,
            sha256=sha256 if verified else None,
        )


def _told(description: bytes) -> tuple[str | None, str | None]:
    """The original path and the image's hash in a .json member; None for what is not there."""
    try:
        value: Any = json.loads(description)
        path, sha256 = value["path"], hash_in(value.get("sha256"))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None, None
    return (path if isinstance(path, str) and path else None), sha256


def _read_any(found: _Found, descriptor: int) -> None:
    try:
        for member in all_members(found.file):
            if member.kind is not Kind.FOLDER:
                found.take(member, descriptor)
    finally:  # also for the members before any damage
        found.follow_links(descriptor)


class _Found:
    """Collects what is found in one tar.

    Attributes:
        file: the tar.
        refs: its images.
        skipped: number of non-image members by kind.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self._file, self._prefix = str(file), f"{file.name}/"
        self.refs: list[ImageRef] = []
        self.skipped: dict[str, int] = {}
        self._links: list[tuple[int, Member]] = []
        self._archives: list[str] = []

    def add(
        self,
        name: str,
        offset: int,
        size: int,
        *,
        path: str | None = None,
        fault: Fault | None = None,
        raw: RawForm | None = None,
        sha256: str | None = None,
    ) -> None:
        """Add a member as an image."""
        path = path or self._prefix + name
        self.refs.append(ImageRef(path, self._file, offset, size, fault, raw=raw, sha256=sha256))

    def take(self, member: Member, descriptor: int) -> None:
        """Classify a member of a tar that is not part of a packed set."""
        name, kind = member.name, member.kind
        base = name.rpartition("/")[2]
        if is_hidden(name):
            count(self.skipped, kind_of(base, hidden=True))
        elif kind is Kind.FILE or kind is Kind.UNKNOWN:  # enums are slow to hash
            nature = _nature(base, member, descriptor)
            if nature is Nature.IMAGE:
                self.add(name, member.offset, member.size)
                return
            count(self.skipped, kind_of(base))
            if nature is not Nature.OTHER:
                self._archives.append(name)
        elif kind is Kind.LINK or kind is Kind.SYMLINK:
            self._links.append((len(self.refs), member))
        elif is_image(base):
            self._add_faulty(name, f"{kind.value}, not a file")
        else:
            count(self.skipped, _KINDS[kind])

    def follow_links(self, descriptor: int) -> None:
        """Insert the targets of links that are images, in tar order."""
        if not self._links:
            return
        whole, self.refs = self.refs, []
        links, done = read_links(self.file), 0
        for place, link in self._links:
            self.refs += whole[done:place]
            done = place
            self._add_link(link, links.resolve(link), descriptor)
        self.refs += whole[done:]

    def _add_link(self, link: Member, found: Member | str, descriptor: int) -> None:
        base = link.name.rpartition("/")[2]
        if isinstance(found, str):
            if is_image(base):
                self._add_faulty(link.name, found)
            else:
                count(self.skipped, "links that lead to no file")
            return
        target = found.name.rpartition("/")[2]
        if is_image(base) or _nature(target, found, descriptor) is Nature.IMAGE:
            self.add(link.name, found.offset, found.size)
        else:
            count(self.skipped, kind_of(base))

    def _add_faulty(self, name: str, detail: str) -> None:
        self.add(name, 0, 0, fault=Fault(Reason.UNREADABLE, detail))

    def notes(self) -> tuple[str, ...]:
        """Lines for the user about the contents of the tar."""
        notes = []
        if self._archives:
            notes.append(
                f"{self.file.name}: {first_names(self._archives)}: archives inside a tar are not "
                "opened; unpack them to score their images."
            )
        if len({ref.name for ref in self.refs}) < len(self.refs):
            names = Counter(ref.name for ref in self.refs)
            repeated = [name for name, number in names.items() if number > 1]
            notes.append(f"{first_names(repeated)}: several images have this name; each is a row.")
        return tuple(notes)


def _nature(base: str, member: Member, descriptor: int) -> Nature:
    def head() -> bytes:
        return os.pread(descriptor, min(member.size, HEAD_BYTES), member.offset)

    return nature_of(base, head)
