"""Units: some files, or a tar, that are scored, committed and resumed together."""

from __future__ import annotations

import hashlib
import posixpath
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

from shards.remote.places import is_http, is_remote
from shards.remote.signed import public
from shards.sample import ImageRef
from vocscore.scoring.inputs.frozen import FrozenNames, joined_names
from vocscore.scoring.inputs.globs import EVERYTHING, Globs
from vocscore.scoring.inputs.stamps import stamped

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from shards.errors import Fault
    from vocscore.pipeline.scratch import LocalCopy

_NAMES_A_CHUNK = 4096
StampKind: TypeAlias = Literal["size", "hash"]


@dataclass(frozen=True, slots=True)
class Contents:
    """The images of a unit, listed just before it is scored.

    Attributes:
        images: one per row.
        problems: damage that does not concern a single image, one line each.
        refusal: why the unit cannot be read at all; `images` then has one item, for the whole unit.
        skipped: kind -> number of members that are not inputs.
        stamps: bytes of the stamps of the images' files, looked up before they are read, so that
            a later change shows; empty if they were not asked for.
        copy: the local copy of a tar from object storage, until its images are decoded.
    """

    images: Sequence[ImageRef]
    problems: tuple[str, ...] = ()
    refusal: Fault | None = None
    skipped: Mapping[str, int] = field(default_factory=dict)
    stamps: bytes = b""
    copy: LocalCopy | None = None


class Unit(Protocol):
    """A tar, or some files."""

    @property
    def number(self) -> int:
        """Its position in the output, from 0."""

    @property
    def weight(self) -> int:
        """Its share of the work, in the unit of its `Inputs` (files or bytes)."""

    def read(self) -> Contents:
        """List its images without reading them. Damage is returned in the contents, not raised."""


class Inputs(Protocol):
    """The names of everything to score."""

    @property
    def images(self) -> int | None:
        """Number of images; None if only reading tells (tars of other tools)."""

    @property
    def weight(self) -> int:
        """The sum of the units' weights."""

    @property
    def skipped(self) -> Mapping[str, int]:
        """Kind -> number of files that are not inputs; without members of tars, not read yet."""

    @property
    def problems(self) -> Sequence[str]:
        """Warnings about what could not be listed, one line each."""

    @property
    def globs(self) -> Globs:
        """Which images of the source are inputs."""

    def units(self, unit_size: int) -> Iterator[Unit]:
        """Yield every unit in the order of the output.

        Args:
            unit_size: files per unit, if inputs are files.
        """

    def digest(self) -> str:
        """Return a SHA-256 hash of the listing, in hexadecimal."""


@dataclass(frozen=True, slots=True)
class FileUnit:
    """Some files, one image each; its weight is their number.

    Attributes:
        number: its position in the output, from 0.
        root: the folder that the names are relative to.
        names: names of the files.
        faults: faults of those names that are known to be unreadable.
        stamps: as in `LooseFiles`.
    """

    number: int
    root: str
    names: Sequence[str]
    faults: Mapping[str, Fault] = field(default_factory=dict)
    stamps: StampKind | None = None

    @property
    def weight(self) -> int:
        """Number of files."""
        return len(self.names)

    def read(self) -> Contents:
        """Return the images with their paths below `root`."""
        root, faults, stamps = self.root, self.faults, b""
        if self.stamps is not None:
            stamps = stamped(root, self.names, hashed=self.stamps == "hash").tobytes()
        if not faults:
            refs = [_ref(root, name) for name in self.names]
        else:
            refs = [_ref(root, name, faults.get(name)) for name in self.names]
        return Contents(refs, stamps=stamps)


def _ref(root: str, name: str, fault: Fault | None = None) -> ImageRef:
    """The image of a name; a list may also have URLs, whose signatures are not written."""
    if "://" in name and is_remote(name):
        return ImageRef(public(name), name, fault=fault)
    file = posixpath.join(root, name)
    return ImageRef(path_of(name, root), file, fault=fault)


def path_of(name: str, root: str) -> str:
    """The path of an image in the output: its name, but for what is secret in a web address."""
    if "://" in name:
        return public(name)
    return public(f"{root}/{name}")[len(root) + 1 :] if "?" in name and is_http(root) else name


@dataclass(frozen=True, slots=True)
class LooseFiles:
    """Loose images, by their names relative to `root`; a name may also be absolute.

    Attributes:
        root: the folder that the names are relative to.
        names: names of the files, in order.
        skipped: kind -> number of other files.
        problems: one line for each thing that could not be listed.
        faults: faults of those names that are known to be unreadable.
        globs: which images are inputs.
        stamps: what is recorded of each file: 'size' for size and modification time, 'hash' for
            also the hash of its bytes; None: nothing.
        signed: whether some names are web addresses with signatures, which are no part of a path.
    """

    root: str
    names: Sequence[str]
    skipped: Mapping[str, int] = field(default_factory=dict)
    problems: Sequence[str] = ()
    faults: Mapping[str, Fault] = field(default_factory=dict)
    globs: Globs = EVERYTHING
    stamps: StampKind | None = None
    signed: bool = False

    @property
    def images(self) -> int:
        """Number of files."""
        return len(self.names)

    @property
    def weight(self) -> int:
        """Number of files."""
        return len(self.names)

    def units(self, unit_size: int) -> Iterator[FileUnit]:
        """Divide the names into units, in order."""
        for number, start in enumerate(range(0, len(self.names), unit_size)):
            names = self.names[start : start + unit_size]
            faults = self.faults and {
                name: self.faults[name] for name in names if name in self.faults
            }
            yield FileUnit(number, self.root, names, faults, self.stamps)

    def digest(self) -> str:
        """Hash the names, in order; not sizes or dates: checking a million files takes too long."""
        if self.signed:  # a list that is signed again stays the same list
            return digest_of(self.names, shown=lambda name: path_of(name, self.root))
        return self.names_digest()

    def names_digest(self) -> str:
        """Hash the names as they are, in order."""
        names = self.names
        return names.digest if isinstance(names, FrozenNames) else digest_of(names)


def digest_of(lines: Sequence[str], *, shown: Callable[[str], str] | None = None) -> str:
    """Return the SHA-256 hash, in hexadecimal, of lines that contain no NUL.

    Args:
        lines: some lines.
        shown: what is hashed of each; None: the line.
    """
    digest = hashlib.sha256()
    for start in range(0, len(lines), _NAMES_A_CHUNK):
        some = lines[start : start + _NAMES_A_CHUNK]
        digest.update(joined_names(some if shown is None else map(shown, some)))
    return digest.hexdigest()
