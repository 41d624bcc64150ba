"""Units: what is scored, committed and resumed as one; a run of files, or a tar."""

from __future__ import annotations

import hashlib
import posixpath
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from shards.errors import BadPicture, DamageError, Reason
from shards.paths import shown
from shards.reader import list_tar
from shards.sample import PictureRef
from shards.ustar import CompressedTarError
from vocscore.score.inputs.globs import EVERYTHING, Globs

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_NAMES_A_CHUNK = 4096


@dataclass(frozen=True, slots=True)
class Contents:
    """What is in a unit, found out when its turn has come.

    Attributes:
        pictures: one a row.
        problems: one line for each damage that is not the fault of one picture.
        refusal: why nothing of it can be read; `pictures` is then one, for the unit as a whole.
    """

    pictures: Sequence[PictureRef]
    problems: tuple[str, ...] = ()
    refusal: BadPicture | None = None


class Unit(Protocol):
    """A shard, or a run of files."""

    @property
    def number(self) -> int:
        """Its place in the output, from 0."""

    @property
    def weight(self) -> int:
        """Its share of the work, in the measure of its `Inputs`."""

    def read(self) -> Contents:
        """Find its pictures; no picture is read. What cannot be read is told, not raised."""


class Inputs(Protocol):
    """Everything there is to score, as names."""

    @property
    def pictures(self) -> int | None:
        """How many; None where only reading will tell (foreign tars)."""

    @property
    def weight(self) -> int:
        """The sum of the units' weights."""

    @property
    def skipped(self) -> int:
        """Files of the folder that are no input."""

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
    """A run of files, one picture each; its weight is their number."""

    number: int
    root: str
    names: Sequence[str]

    @property
    def weight(self) -> int:
        """Files."""
        return len(self.names)

    def read(self) -> Contents:
        """Join names to files."""
        files = (posixpath.join(self.root, name) for name in self.names)
        refs = [PictureRef(name, file) for name, file in zip(self.names, files, strict=True)]
        return Contents(refs)


@dataclass(frozen=True, slots=True)
class Files:
    """Loose pictures, by their names below `root`; an absolute name stands for itself."""

    root: str
    names: Sequence[str]
    skipped: int = 0
    problems: Sequence[str] = ()
    globs: Globs = EVERYTHING

    @property
    def pictures(self) -> int:
        """Files."""
        return len(self.names)

    @property
    def weight(self) -> int:
        """Files."""
        return len(self.names)

    def units(self, unit_size: int) -> Iterator[FileUnit]:
        """Cut the names into runs, in their order."""
        for number, start in enumerate(range(0, len(self.names), unit_size)):
            yield FileUnit(number, self.root, self.names[start : start + unit_size])

    def digest(self) -> str:
        """Over the names, in order; not over sizes or dates: to ask a million takes long."""
        return _digest(self.names)


@dataclass(frozen=True, slots=True)
class TarUnit:
    """One tar.

    Attributes:
        number: its place in the output, from 0.
        root: the folder that `name` is relative to.
        name: of the tar; the folder in it stands before the names of the pictures.
        weight: bytes.
        samples: pictures that must be in it; None where nobody has said.
        globs: which of its pictures are inputs.
    """

    number: int
    root: str
    name: str
    weight: int
    samples: int | None
    globs: Globs = EVERYTHING

    def read(self) -> Contents:
        """List the tar; one that gives nothing but damage is a row of its own."""
        file = Path(self.root, self.name)
        try:
            listing = list_tar(file)
            pictures, damage = listing.pictures, listing.damage
        except CompressedTarError as error:
            return self._refused(BadPicture(Reason.UNSUPPORTED, str(error)))
        except DamageError as error:
            pictures, damage = (), str(error)
        if damage and not pictures:
            return self._refused(_refusal(file, damage))
        folder = posixpath.dirname(self.name)
        if folder:
            pictures = tuple(replace(ref, name=f"{folder}/{ref.name}") for ref in pictures)
        kept = tuple(ref for ref in pictures if self.globs.keeps(ref.name))
        return Contents(kept, self._problems(len(pictures), damage))

    def _refused(self, why: BadPicture) -> Contents:
        """The tar as a row of its own."""
        return Contents([PictureRef(self.name, str(Path(self.root, self.name)))], refusal=why)

    def _problems(self, found: int, damage: str | None) -> tuple[str, ...]:
        if damage:
            of = "" if self.samples is None else f" of {self.samples}"
            return (f"{damage} The {found}{of} pictures before it can be read.",)
        if self.samples not in (None, found):
            return (f"{shown(self.name)}: {found} pictures instead of {self.samples}.",)
        return () if found else (f"{shown(self.name)}: no picture in it.",)


def _refusal(file: Path, damage: str) -> BadPicture:
    try:
        with file.open("rb"):
            return BadPicture(Reason.CORRUPT, damage)
    except FileNotFoundError:
        return BadPicture(Reason.VANISHED, "no such file")
    except OSError as error:
        return BadPicture(Reason.UNREADABLE, str(error.strerror).lower())


@dataclass(frozen=True, slots=True)
class Tars:
    """Packed shards, or WebDataset tars from elsewhere; each is a unit.

    Attributes:
        root: the folder that the names are relative to.
        names: of the tars, in order.
        sizes: of the tars, bytes.
        changed: when each was modified, nanoseconds.
        samples: pictures in each, where a manifest tells.
        skipped: files that are no tars.
        problems: one line for each thing that could not be listed.
        globs: which of the pictures are inputs.
    """

    root: str
    names: Sequence[str]
    sizes: Sequence[int]
    changed: Sequence[int]
    samples: Sequence[int] | None = None
    skipped: int = 0
    problems: Sequence[str] = ()
    globs: Globs = EVERYTHING

    @property
    def pictures(self) -> int | None:
        """The sum of the manifest's numbers; what globs leave of it only reading tells."""
        return None if self.samples is None or self.globs else sum(self.samples)

    @property
    def weight(self) -> int:
        """Bytes."""
        return sum(self.sizes)

    def units(self, unit_size: int) -> Iterator[TarUnit]:  # noqa: ARG002 - a tar is never cut
        """One unit a tar."""
        samples: Sequence[int | None] = self.samples or [None] * len(self.names)
        for number, (name, size, count) in enumerate(
            zip(self.names, self.sizes, samples, strict=True)
        ):
            yield TarUnit(number, self.root, name, size, count, self.globs)

    def digest(self) -> str:
        """Over names, sizes and times of modification, in order."""
        described = zip(self.names, self.sizes, self.changed, strict=True)
        return _digest([f"{name}\0{size}\0{changed}" for name, size, changed in described])


def _digest(lines: Sequence[str]) -> str:
    digest = hashlib.sha256()
    for start in range(0, len(lines), _NAMES_A_CHUNK):
        chunk = lines[start : start + _NAMES_A_CHUNK]
        # No file name holds a NUL.
        digest.update("".join(f"{line}\0" for line in chunk).encode("utf-8", "surrogateescape"))
    return digest.hexdigest()
