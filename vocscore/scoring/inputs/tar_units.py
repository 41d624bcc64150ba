"""Tars as units: packed shards, and WebDataset tars from other tools."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from shards.errors import DamageError, Fault, Reason
from shards.files import open_binary
from shards.paths import shown
from shards.remote.places import is_remote, scheme
from shards.sample import ImageRef
from shards.tar.images import TarListing, list_tar
from shards.tar.walk import CompressedTarError
from vocscore.pipeline.scratch import local_copy
from vocscore.scoring.inputs.globs import EVERYTHING, Globs
from vocscore.scoring.inputs.units import Contents, digest_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence


@dataclass(frozen=True, slots=True)
class TarUnit:
    """One tar.

    Attributes:
        number: its position in the output, from 0.
        root: the folder that `name` is relative to.
        name: path of the tar; its folder precedes the names of the images.
        weight: size in bytes.
        samples: number of images it must contain; None if unknown.
        globs: which of its images are inputs.
        etag: what it must be when it is read; None: anything.
    """

    number: int
    root: str
    name: str
    weight: int
    samples: int | None
    globs: Globs = EVERYTHING
    etag: str | None = None

    def read(self) -> Contents:
        """List the tar; one that cannot be read at all becomes a single row.

        A tar from object storage is fetched first; the contents have the copy.

        Raises:
            StorageError: the storage does not give it.
        """
        if not is_remote(self.root):
            return self._listed(Path(self.root, self.name))
        try:
            copy = local_copy(self.root, self.name, etag=self.etag)
        except FileNotFoundError:
            return self._refused(Fault(Reason.VANISHED, "no such file"))
        try:
            contents = self._listed(Path(copy.file))
        except BaseException:
            copy.remove()
            raise
        here = posixpath.join(posixpath.dirname(self.name), Path(copy.file).name)
        images = [replace(ref, file=copy.url) for ref in contents.images]
        if here != self.name:  # a key may be longer than the name of a file
            images = [
                replace(ref, name=ref.name.replace(f"{here}/", f"{self.name}/", 1))
                if ref.name.startswith(f"{here}/")
                else ref
                for ref in images
            ]
        return replace(contents, images=images, copy=copy)

    def _listed(self, file: Path) -> Contents:
        try:
            listing = list_tar(file)
        except CompressedTarError as error:
            return self._refused(Fault(Reason.UNSUPPORTED, str(error)))
        except DamageError as error:
            listing = TarListing((), str(error))
        images, damage = listing.images, listing.damage
        if damage and not images:
            return self._refused(_refusal(file, damage))
        folder = posixpath.dirname(self.name)
        if folder:
            images = tuple(replace(ref, name=f"{folder}/{ref.name}") for ref in images)
        kept = tuple(ref for ref in images if self.globs.keeps(ref.name))
        problems = (*self._problems(len(images), damage), *listing.notes)
        return Contents(kept, problems, skipped=listing.skipped)

    def _refused(self, why: Fault) -> Contents:
        """Return the tar itself as a single failed row."""
        return Contents([ImageRef(self.name, posixpath.join(self.root, self.name))], refusal=why)

    def _problems(self, found: int, damage: str | None) -> tuple[str, ...]:
        if damage:
            of = "" if self.samples is None else f" of {self.samples}"
            return (f"{damage} The {found}{of} images before it can be read.",)
        if self.samples not in (None, found):
            return (f"{shown(self.name)}: {found} images instead of {self.samples}.",)
        return () if found else (f"{shown(self.name)}: no image in it.",)


def _refusal(file: Path, damage: str) -> Fault:
    try:
        with open_binary(file):
            return Fault(Reason.CORRUPT, damage)
    except FileNotFoundError:
        return Fault(Reason.VANISHED, "no such file")
    except OSError as error:
        return Fault(Reason.UNREADABLE, str(error.strerror).lower())


@dataclass(frozen=True, slots=True)
class Tars:
    """Packed shards, or WebDataset tars from other tools; each is a unit.

    Attributes:
        root: the folder that the names are relative to.
        names: names of the tars, in order.
        sizes: sizes of the tars in bytes.
        changed: modification times in nanoseconds; of objects, their entity tags.
        samples: number of images in each, if a manifest states it.
        skipped: kind -> number of other files.
        problems: one line for each thing that could not be listed.
        globs: which of the images are inputs.
    """

    root: str
    names: Sequence[str]
    sizes: Sequence[int]
    changed: Sequence[int | str]
    samples: Sequence[int | None] = ()
    skipped: Mapping[str, int] = field(default_factory=dict)
    problems: Sequence[str] = ()
    globs: Globs = EVERYTHING

    @property
    def images(self) -> int | None:
        """The sum of `samples`; None if one is unknown, or with globs: only reading tells then."""
        known = [number for number in self.samples if number is not None]
        return sum(known) if len(known) == len(self.names) and not self.globs else None

    @property
    def weight(self) -> int:
        """Total size in bytes."""
        return sum(self.sizes)

    def units(self, unit_size: int) -> Iterator[TarUnit]:  # noqa: ARG002 - a tar is never divided
        """Yield one unit per tar."""
        samples = self.samples or [None] * len(self.names)
        tags = self.changed if scheme(self.root) == "s3" else [None] * len(self.names)
        for number, (name, size, count, tag) in enumerate(
            zip(self.names, self.sizes, samples, tags, strict=True)
        ):
            etag = tag if tag and isinstance(tag, str) else None
            yield TarUnit(number, self.root, name, size, count, self.globs, etag)

    def digest(self) -> str:
        """Hash names, sizes and modification times, in order."""
        described = zip(self.names, self.sizes, self.changed, strict=True)
        return digest_of([f"{name}\0{size}\0{changed}" for name, size, changed in described])


def open_tars(
    root: Path,
    names: Sequence[str],
    *,
    samples: Sequence[int | None] = (),
    skipped: Mapping[str, int] | None = None,
    problems: Sequence[str] = (),
) -> Tars:
    """Get the sizes and modification times of tars; the arguments are the attributes of `Tars`."""
    sizes, changed = [], []
    for name in names:
        size, time = _size_and_time(root / name)
        sizes.append(size)
        changed.append(time)
    return Tars(str(root), names, sizes, changed, samples, skipped or {}, problems)


def _size_and_time(file: Path) -> tuple[int, int]:
    """Return bytes and nanoseconds; 0 for a file that has vanished, which its unit will report."""
    try:
        status = file.stat()
    except OSError:
        return 0, 0
    return status.st_size, status.st_mtime_ns
