"""The units of packing: images to check, or a shard to write, each by one worker in any place.

A worker decides nothing and names nothing: it checks, or writes a shard in a folder of its own
below `.progress`, and reports. The process that packs moves shards to their names.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from shards.errors import BadImage, PackError, Reason
from shards.images import image_file
from shards.images.memory import spared
from shards.packing.borders import Accepted, Made, Verdict
from shards.packing.journal import MADE, STAGED
from shards.packing.prepare import (
    PreparedSample,
    chunked,
    in_threads,
    prepare_all,
)
from shards.packing.writer import ShardWriter
from shards.sample import Rejection

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path
    from typing import BinaryIO

    from typing_extensions import Self

    from shards.manifest import Shard
    from shards.packing.borders import Span
    from shards.packing.prepare import Candidate, Handling
    from shards.sample import ImageRef

CHECK_IMAGES: Final = 256
"""Images of a unit that is checked; the same for every run, since units are known by number."""


@dataclass(frozen=True, slots=True)
class CheckUnit:
    """Images to check.

    Attributes:
        number: no other unit of the run has it.
        split: their split.
        start: index of the first among the split's candidates.
        candidates: the images.
    """

    number: int
    split: str
    start: int
    candidates: Sequence[Candidate]

    def __str__(self) -> str:
        """Return it for messages."""
        first, last = self.candidates[0].sample.path, self.candidates[-1].sample.path
        return f"split '{self.split}', images {first} to {last}"


@dataclass(frozen=True, slots=True)
class ShardUnit:
    """A shard to write.

    Attributes:
        number: no other unit of the run has it.
        span: its images.
    """

    number: int
    span: Span

    def __str__(self) -> str:
        """Return it for messages."""
        return self.span.name


@dataclass(frozen=True, slots=True)
class Checked:
    """What was found out about the images of a unit, in order."""

    number: int
    verdicts: tuple[Verdict, ...]


@dataclass(frozen=True, slots=True)
class Written:
    """A shard that is on disk.

    Attributes:
        number: of its unit.
        shard: the tar.
        folder: name of the folder in the stage that has tar and index.
    """

    number: int
    shard: Shard
    folder: str


Unit: TypeAlias = CheckUnit | ShardUnit
Result: TypeAlias = Checked | Written


@dataclass(frozen=True, slots=True)
class Workshop:
    """What every worker needs; it can be pickled.

    Attributes:
        root: the folder of the source.
        locate: the location of an image by its path.
        handling: how to process each image.
        classes: in column order.
        stage: the folder `.progress` of the set.
    """

    root: Path
    locate: Callable[[str], ImageRef]
    handling: Handling
    classes: tuple[str, ...]
    stage: Path

    def enter(self) -> None:
        """Check that this machine sees the folders; else every image would be a bad one.

        Raises:
            PackError: it does not.
        """
        for folder in (self.root, self.stage):
            if not folder.is_dir():
                raise PackError(f"{folder}: no such folder.")

    def do(self, unit: Unit, *, workers: int) -> Result:
        """Check images or write a shard, with this number of threads.

        Raises:
            PackError: an image has changed since it was checked, or the source is gone.
            OSError: the stage is full or read-only.
        """
        if isinstance(unit, CheckUnit):
            return self._check(unit, workers=workers)
        return self._write(unit, workers=workers)

    def _check(self, unit: CheckUnit, *, workers: int) -> Checked:
        verdicts: list[Verdict] = []
        with ExitStack() as held:
            made = None
            if self.handling.resize is not None:
                made = held.enter_context(_MadeBytes(self.stage, unit.number))
            chunks = held.enter_context(
                closing(
                    prepare_all(
                        unit.candidates,
                        locate=self.locate,
                        handling=self.handling,
                        workers=workers,
                    )
                )
            )
            for outcome in (one for chunk in chunks for one in chunk):
                if isinstance(outcome, Rejection):
                    verdicts.append(outcome.fault)
                else:
                    place = made.add(outcome.data) if made is not None else None
                    verdicts.append(Accepted(*outcome[2:], made=place))
        gone = any(getattr(one, "reason", None) is Reason.VANISHED for one in verdicts)
        if gone and not self.root.is_dir():
            raise PackError(f"{self.root}: is gone. Finished units are kept: rerun to resume.")
        return Checked(unit.number, tuple(verdicts))

    def _write(self, unit: ShardUnit, *, workers: int) -> Written:
        span = unit.span
        folder = self.stage / f"{STAGED}{unit.number:06d}-{secrets.token_hex(4)}"
        folder.mkdir()
        writer = ShardWriter(folder, span.name, classes=self.classes)
        try:
            runs = in_threads(
                self._again,
                _paired(span, self.handling),
                workers=workers,
                size=lambda images: self.handling.held([candidate for candidate, _ in images]),
            )
            with closing(runs):
                for serial, image in enumerate((i for run in runs for i in run), span.serial):
                    writer.add(image, key=f"{span.split}-{serial:08d}")
            shard = writer.seal()
            writer.sync()
        except BaseException:
            writer.discard()
            with suppress(OSError):
                folder.rmdir()
            raise
        return Written(unit.number, shard, folder.name)

    def _again(self, images: Sequence[tuple[Candidate, Accepted]]) -> list[PreparedSample]:
        return [self._read(candidate, accepted) for candidate, accepted in images]

    def _read(self, candidate: Candidate, accepted: Accepted) -> PreparedSample:
        """Read the bytes to store, which must be those that were checked."""
        path = candidate.sample.path
        try:
            if accepted.made is not None:
                data = self._made(accepted.made)
            else:
                ref = self.locate(path)
                most = self.handling.max_pixels
                data = spared(lambda: image_file.read_bytes(ref, max_pixels=most))
        except BadImage as bad:
            raise _changed(path, bad.fault.detail) from bad
        if hashlib.sha256(data).hexdigest() != accepted.sha256:
            raise _changed(path, "other bytes")
        return PreparedSample(candidate.sample, data, *accepted[:-1])

    def _made(self, made: Made) -> bytes:
        with (self.stage / made.file).open("rb") as file:
            return os.pread(file.fileno(), made.size, made.offset)


class _MadeBytes:
    """A file for the bytes made of a unit's images, so that shards need not make them again."""

    def __init__(self, stage: Path, number: int) -> None:
        self._path = stage / f"{MADE}{number:06d}-{secrets.token_hex(4)}"
        self._size = 0
        self._file: BinaryIO | None = None

    def add(self, data: bytes) -> Made:
        """Append bytes; the file is created by the first."""
        if self._file is None:
            self._file = self._path.open("xb")
        self._file.write(data)
        made = Made(self._path.name, self._size, len(data))
        self._size += len(data)
        return made

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        """Sync the file to disk, or remove it after an error."""
        if self._file is None:
            return
        try:
            with self._file:
                if kind is None:
                    self._file.flush()
                    os.fsync(self._file.fileno())
        finally:
            if kind is not None:
                self._path.unlink(missing_ok=True)


def _paired(span: Span, handling: Handling) -> Iterator[Sequence[tuple[Candidate, Accepted]]]:
    """The images of a shard in chunks, as for checking."""
    start = 0
    for chunk in chunked([candidate for candidate, _ in span.images], handling):
        yield span.images[start : start + len(chunk)]
        start += len(chunk)


def _changed(path: str, what: str) -> PackError:
    return PackError(
        f"{path}: has changed since it was checked ({what}). Rerun with `overwrite=True` when "
        "nothing changes the images any more."
    )
