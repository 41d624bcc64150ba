"""The index of a shard: where each member of each sample starts, in DALI's format.

Source: `wds2idx` of nvidia-dali 2.4.0; the output is byte-identical.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from shards.errors import DamageError
from shards.files import NotAFileError, open_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

VERSION: Final = "v1.2"


class Component(NamedTuple):
    """One member of a sample.

    Attributes:
        extension: everything after the first dot of the base name, such as 'labels.npy'.
        offset: position of its first byte in the tar.
        size: bytes.
        name: the member's name in the tar.
    """

    extension: str
    offset: int
    size: int
    name: str


class _Member(Protocol):
    """A member of a tar, as far as it concerns the index; see `shards.tar.walk.Member`."""

    @property
    def name(self) -> str: ...

    @property
    def offset(self) -> int: ...

    @property
    def size(self) -> int: ...


def split_name(name: str) -> tuple[str, str]:
    """Split a member's name into key and extension, at the first dot of its base name.

    A name without a dot has the extension ''.
    """
    folder, slash, base = name.rpartition("/")
    stem, _, extension = base.partition(".")
    return f"{folder}{slash}{stem}", extension


def group(found: Iterable[_Member]) -> Iterator[tuple[Component, ...]]:
    """Gather members that follow each other and share a key into samples.

    Hidden files and files without an extension are skipped.
    """
    last = ""
    sample: list[Component] = []
    try:
        for member in found:
            key, extension = split_name(member.name)
            if not extension or not key or key.endswith("/"):
                continue
            if key != last and sample:
                yield tuple(sample)
                sample = []
            last = key
            sample.append(Component(extension, member.offset, member.size, member.name))
    except DamageError:  # it ends the walk, but the members before it are valid
        if sample:
            yield tuple(sample)
        raise
    if sample:
        yield tuple(sample)


def format_index(samples: Sequence[Sequence[Component]]) -> bytes:
    """Format an index, version 1.2: a line with the count, then one line per sample."""
    lines = [f"{VERSION} {len(samples)}"]
    lines += [" ".join(f"{c[0]} {c[1]} {c[2]} {c[3]}" for c in sample) for sample in samples]
    return "\n".join((*lines, "")).encode("utf-8", "surrogateescape")


def read_index(file: Path) -> list[tuple[Component, ...]]:
    """Read an index.

    Raises:
        DamageError: it is missing, or not an index of version 1.2.
    """
    try:
        with open_text(file, errors="surrogateescape") as opened:
            lines = opened.read().split("\n")
    except FileNotFoundError:
        raise DamageError(f"{file}: missing. Copy it again, or pack again.") from None
    except NotAFileError as error:
        raise DamageError(f"{file}: {error.strerror}. Copy it again, or pack again.") from None
    samples = _samples(lines)
    if samples is None:
        raise DamageError(
            f"{file}: not a complete index of version {VERSION[1:]}. Copy it again, or pack again."
        )
    return samples


def _samples(lines: Sequence[str]) -> list[tuple[Component, ...]] | None:
    """Parse the lines of an index, the last one empty; None if they are not a valid index."""
    try:
        samples = [_parse(line) for line in lines[1:-1]]
    except (ValueError, IndexError):
        return None
    return samples if [f"{VERSION} {len(samples)}", ""] == [lines[0], lines[-1]] else None


def _parse(line: str) -> tuple[Component, ...]:
    fields = line.split(" ")
    return tuple(
        Component(fields[i], int(fields[i + 1]), int(fields[i + 2]), fields[i + 3])
        for i in range(0, len(fields), 4)
    )
