"""Units: what is scored, committed and resumed as one; a run of files, or a tar."""

from __future__ import annotations

import hashlib
import posixpath
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from shards.sample import ImageRef
from vocscore.scoring.inputs.globs import EVERYTHING, Globs

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from shards.errors import BadImage, Fault

_NAMES_A_CHUNK = 4096


@dataclass(frozen=True, slots=True)
class Contents:
    """What is in a unit, found out when its turn has come.

    Attributes:
        images: one a row.
        problems: one line for each damage that is not the fault of one image.
        refusal: why nothing of it can be read; `images` is then one, for the unit as a whole.
        skipped: how many members of each kind are no inputs.
    """

    images: Sequence[ImageRef]
    problems: tuple[str, ...] = ()
    refusal: BadImage | None = None
    skipped: Mapping[str, int] = field(default_factory=dict)


class Unit(Protocol):
    """A shard, or a run of files."""

    @property
    def number(self) -> int:
        """Its place in the output, from 0."""

    @property
    def weight(self) -> int:
        """Its share of the work, in the measure of its `Inputs`."""

    def read(self) -> Contents:
        """Find its images; no image is read. What cannot be read is told, not raised."""


class Inputs(Protocol):
    """Everything there is to score, as names."""

    @property
    def images(self) -> int | None:
        """How many; None where only reading will tell (foreign tars)."""

    @property
    def weight(self) -> int:
        """The sum of the units' weights."""

    @property
    def skipped(self) -> Mapping[str, int]:
        """How many files of each kind are no inputs; what is in tars only reading tells."""

    @property
    def problems(self) -> Sequence[str]:
        """One line for each thing that could not be listed."""

    @property
    def globs(self) -> Globs:
        """What was asked for of all that the source holds."""

    def units(self, unit_size: int) -> Iterator[Unit]:
        """Yield every unit in the order of the output.

        Args:
            unit_size: files a unit, where inputs are files.
        """

    def digest(self) -> str:
        """Sha256 over what was listed, hexadecimal: equal for equal listings."""


@dataclass(frozen=True, slots=True)
class FileUnit:
    """A run of files, one image each; its weight is their number.

    Attributes:
        number: its place in the output, from 0.
        root: the folder that the names are relative to.
        names: of the files.
        faults: of those names of which it is known that there is nothing to read.
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
        faults: of those names of which it is known that there is nothing to read.
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
        """Cut the names into runs, in their order."""
        for number, start in enumerate(range(0, len(self.names), unit_size)):
            names = self.names[start : start + unit_size]
            faults = self.faults and {
                name: self.faults[name] for name in names if name in self.faults
            }
            yield FileUnit(number, self.root, names, faults)

    def digest(self) -> str:
        """Over the names, in order; not over sizes or dates: to ask a million takes long."""
        return digest_of(self.names)


def digest_of(lines: Sequence[str]) -> str:
    """Sha256 over lines that hold no NUL, hexadecimal."""
    digest = hashlib.sha256()
    for start in range(0, len(lines), _NAMES_A_CHUNK):
        chunk = lines[start : start + _NAMES_A_CHUNK]
        digest.update("".join(f"{line}\0" for line in chunk).encode("utf-8", "surrogateescape"))
    return digest.hexdigest()
