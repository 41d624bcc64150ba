"""`dataset.json`: the contents of a set of shards, written last: a set that has it is complete."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from shards import atomic
from shards.errors import DamageError
from shards.files import read_regular
from shards.raw_images import RawForm

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

NAME: Final = "dataset.json"
UNFINISHED: Final = ".progress"
"""The folder inside a set while it is being packed."""
FORMAT: Final = "vocscore"
VERSION: Final = 1
RAW_VERSION: Final = 2
"""Of sets of raw images, so that programs that cannot read them say so."""

RAW: Final = "raw"
"""Key of the form of raw images in `config`."""
VERIFY: Final = "verify"
"""Key in `config`: whether every image was decoded strictly before it was stored."""

JSON: TypeAlias = "str | int | float | bool | Sequence[JSON] | Mapping[str, JSON] | None"

_SPLIT: Final = re.compile(r"[A-Za-z0-9_]{1,32}")
_SHARD: Final = re.compile(r"([A-Za-z0-9_]{1,32})-(\d{6,})\.(tar|idx)")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Shard:
    """One tar.

    Attributes:
        name: the file name, such as 'train-000000.tar'.
        samples: number of samples.
        bytes: size of the file.
        sha256: hash of the file, hexadecimal.
    """

    name: str
    samples: int
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Split:
    """The shards of one split, in order."""

    shards: tuple[Shard, ...]

    @property
    def samples(self) -> int:
        """Images in the split."""
        return sum(shard.samples for shard in self.shards)


@dataclass(frozen=True)
class Manifest:
    """A complete set.

    Attributes:
        classes: in column order.
        splits: in packing order.
        rejected: number of images left out, which are listed in `rejected.csv`.
        config: the settings that determined the bytes.
        listing: sha256 of the packed input (paths, sizes and labels), hexadecimal.
    """

    classes: tuple[str, ...]
    splits: Mapping[str, Split]
    rejected: int
    config: Mapping[str, JSON]
    listing: str

    @property
    def raw(self) -> RawForm | None:
        """The form of the images; None if they are image files."""
        form: Any = self.config.get(RAW)
        return None if form is None else RawForm.from_json(form)

    @property
    def verified(self) -> bool:
        """Whether an image is undamaged if it has the hash in its description."""
        return self.config.get(VERIFY) is True

    def shards(self) -> tuple[Shard, ...]:
        """Every shard of every split."""
        return tuple(shard for split in self.splits.values() for shard in split.shards)


def is_split(name: str) -> bool:
    """Whether a split name is valid: letters, digits and '_', as required for sample keys."""
    return _SPLIT.fullmatch(name) is not None


def shard_name(split: str, number: int) -> str:
    """Name the tar: 'train-000000.tar'."""
    return f"{split}-{number:06d}.tar"


def split_of(name: str) -> str | None:
    """The split in the name of a shard or an index; None for any other file."""
    match = _SHARD.fullmatch(name)
    return match[1] if match else None


def index_name(shard: str) -> str:
    """Name the index beside a tar: 'train-000000.idx'."""
    return shard.removesuffix(".tar") + ".idx"


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Durably write `dataset.json`, which marks the set as complete.

    It contains no times and no absolute paths: equal sets have equal bytes.

    Raises:
        OSError: the folder is full or read-only.
    """
    value: dict[str, JSON] = {
        "format": FORMAT,
        "version": VERSION if manifest.raw is None else RAW_VERSION,
        "classes": list(manifest.classes),
        "splits": {
            name: {"samples": split.samples, "shards": [asdict(shard) for shard in split.shards]}
            for name, split in manifest.splits.items()
        },
        "rejected": manifest.rejected,
        "config": dict(manifest.config),
        "listing": manifest.listing,
    }
    atomic.write(folder / NAME, (json.dumps(value, indent=1) + "\n").encode("ascii"))


def read_manifest(folder: Path) -> Manifest:
    """Read `dataset.json` and check every field.

    Raises:
        DamageError: it is missing, the set is unfinished, or it is not as packing writes it.
    """
    file = folder / NAME
    try:
        data = read_regular(file)
    except FileNotFoundError:
        raise DamageError(_missing(folder)) from None
    except OSError as error:
        raise DamageError(f"{file}: cannot be read: {error.strerror}.") from error
    return manifest_from(data, str(file))


def manifest_from(data: bytes, file: str) -> Manifest:
    """Check the bytes of a `dataset.json`; `file` names it in messages.

    Raises:
        DamageError: it is not as packing writes it.
    """
    try:
        value = json.loads(data)
    except ValueError as error:
        raise DamageError(f"{file}: not JSON ({error}). {_CURE}") from error
    try:
        return parse_manifest(value)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise DamageError(f"{file}: {_said(error)}. {_CURE}") from error


def manifest_hash(folder: Path) -> str:
    """The identity of a set, wherever it is stored: sha256 of its `dataset.json`, hexadecimal.

    Raises:
        OSError: it cannot be read.
    """
    return hashlib.sha256(read_regular(folder / NAME)).hexdigest()


_CURE: Final = "Copy it again, or pack again into an empty folder."


def _missing(folder: Path) -> str:
    if (folder / UNFINISHED).is_dir():
        return (
            f"{folder}: the set is unfinished: packing was interrupted or is still running. Rerun "
            "the same 'vocscore pack' command to finish it."
        )
    return f"{folder}: no {NAME}, so not a packed set. Create one with 'vocscore pack'."


def _said(error: Exception) -> str:
    return f"missing field {error}" if isinstance(error, KeyError) else str(error)


def parse_manifest(value: Any) -> Manifest:
    """Parse the JSON value of `dataset.json`.

    Raises:
        ValueError, TypeError, KeyError, AttributeError: it is not a valid manifest.
    """
    if value["format"] != FORMAT:
        raise ValueError(f"format {value['format']!r} is not {FORMAT!r}")
    if value["version"] not in (VERSION, RAW_VERSION):
        raise ValueError(
            f"version {value['version']!r} is not {VERSION} or {RAW_VERSION}, which this vocscore "
            "reads; use the vocscore version that packed it"
        )
    if not value["splits"]:
        raise ValueError("it has no splits")
    manifest = Manifest(
        classes=tuple(_text(name) for name in value["classes"]),
        splits={name: _parse_split(name, split) for name, split in value["splits"].items()},
        rejected=_count(value["rejected"], least=0),
        config=dict(value["config"]),
        listing=_text(value["listing"]),
    )
    if (manifest.raw is not None) != (value["version"] == RAW_VERSION):  # checks the form, too
        raise ValueError(f"version {value['version']} does not fit the setting {RAW!r}")
    if not isinstance(manifest.config.get(VERIFY, False), bool):
        raise TypeError(f"the setting {VERIFY!r} is not true or false")
    return manifest


def _parse_split(name: str, value: Any) -> Split:
    split = Split(tuple(parse_shard(shard) for shard in value["shards"]))
    names = [shard.name for shard in split.shards]
    if names != [shard_name(name, number) for number in range(len(names))] or not names:
        raise ValueError(f"split {name!r} has unexpected shard names: {names[:3]}...")
    if value["samples"] != split.samples:
        raise ValueError(
            f"split {name!r} has {value['samples']} samples, but its shards have {split.samples}"
        )
    return split


def parse_shard(value: Any) -> Shard:
    """Parse the JSON value of one shard.

    Raises:
        ValueError, TypeError, KeyError: it is not a valid shard.
    """
    if split_of(_text(value["name"])) is None or not _SHA256.fullmatch(value["sha256"]):
        raise ValueError(f"{value['name']!r} is not a shard")
    return Shard(
        name=value["name"],
        samples=_count(value["samples"], least=1),
        bytes=_count(value["bytes"], least=1),
        sha256=value["sha256"],
    )


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not text")
    return value


def _count(value: Any, *, least: int) -> int:
    if not isinstance(value, int) or value < least:
        raise ValueError(f"{value!r} is not an integer of at least {least}")
    return value
