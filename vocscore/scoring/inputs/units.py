"""Units: what is scored, committed and resumed together; some files, or a tar."""

from __future__ import annotations

import hashlib
import posixpath
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from shards.sample import ImageRef
from vocscore.scoring.inputs.globs import EVERYTHING, Globs

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from shards.errors import Fault

_NAMES_A_CHUNK = 4096


@dataclass(frozen=True, slots=True)
class Contents:
    """What is in a unit, found out when its turn has come.

    Attributes:
        images: one per row.
        problems: damage that does not concern a single image, one line each.
        refusal: why nothing of it can be read; `images` is then one, for the unit as a whole.
        skipped: how many members of each kind are not inputs.
    """

    images: Sequence[ImageRef]
    problems: tuple[str, ...] = ()
    refusal: Fault | None = None
    skipped: Mapping[str, int] = field(default_factory=dict)


class Unit(Protocol):
    """A tar, or some files."""

    @property
    def number(self) -> int:
        """Its place in the output, from 0."""

    @property
    def weight(self) -> int:
        """Its share of the work, in the measure of its `Inputs`."""

    def read(self) -> Contents:
        """List its images; none is read. What cannot be read is reported, not raised."""


class Inputs(Protocol):
    """Everything to score, as names."""

    @property
    def images(self) -> int | None:
        """How many images; None where only reading tells (foreign tars)."""

    @property
    def weight(self) -> int:
        """The sum of the units' weights."""

    @property
    def skipped(self) -> Mapping[str, int]:
        """How many files of each kind are not inputs; without members of tars, not read yet."""

    @property
    def problems(self) -> Sequence[str]:
        """What could not be listed, one line each."""

    @property
    def globs(self) -> Globs:
        """Which images of the source were asked for."""

    def units(self, unit_size: int) -> Iterator[Unit]:
        """Yield every unit in the order of the output.

        Args:
            unit_size: files per unit, where inputs are files.
        """

    def digest(self) -> str:
        """Sha256 over what was listed, hexadecimal: equal for equal listings."""


@dataclass(frozen=True, slots=True)
class FileUnit:
    """Some files, one image each; its weight is their number.

    Attributes:
        number: its place in the output, from 0.
        root: the folder that the names are relative to.
        names: of the files.
        faults: of those names that are known to be unreadable.
    """

    number: int
    root: str
    names: Sequence[str]
    faults: Mapping[str, Fault] = field(default_factory=dict)

    @property
    def weight(self) -> int:
        """Files."""
        return len(self.names)

    def read(self) -> Contents:
        """Join names to files."""
        root, faults = self.root, self.faults
        if not faults:
            return Contents([ImageRef(name, posixpath.join(root, name)) for name in self.names])
        return Contents(
            [
                ImageRef(name, posixpath.join(root, name), fault=faults.get(name))
                for name in self.names
            ]
        )


@dataclass(frozen=True, slots=True)
class LooseFiles:
    """Loose images, by their names below `root`; an absolute name stands for itself.

    Attributes:
        root: the folder that the names are relative to.
        names: of the files, in order.
        skipped: how many other files of each kind there are.
        problems: one line for each thing that could not be listed.
        faults: of those names that are known to be unreadable.
        globs: which images are inputs.
    """

    root: str
    names: Sequence[str]
    skipped: Mapping[str, int] = field(default_factory=dict)
    problems: Sequence[str] = ()
    faults: Mapping[str, Fault] = field(default_factory=dict)
    globs: Globs = EVERYTHING

    @property
    def images(self) -> int:
        """Files."""
        return len(self.names)

    @property
    def weight(self) -> int:
        """Files."""
        return len(self.names)

    def units(self, unit_size: int) -> Iterator[FileUnit]:
        """Divide the names into units, in their order."""
        for number, start in enumerate(range(0, len(self.names), unit_size)):
            names = self.names[start : start + unit_size]
            faults = self.faults and {
                name: self.faults[name] for name in names if name in self.faults
            }
            yield FileUnit(number, self.root, names, faults)

    def digest(self) -> str:
        """Over the names, in order; not over sizes or dates: a million files take long to check."""
        return digest_of(self.names)


def digest_of(lines: Sequence[str]) -> str:
    """Sha256 over lines that contain no NUL, hexadecimal."""
    digest = hashlib.sha256()
    for start in range(0, len(lines), _NAMES_A_CHUNK):
        chunk = lines[start : start + _NAMES_A_CHUNK]
        digest.update("".join(f"{line}\0" for line in chunk).encode("utf-8", "surrogateescape"))
    return digest.hexdigest()
