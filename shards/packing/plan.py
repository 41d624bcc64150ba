"""What is to be packed, as a value that two runs can compare."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from shards.classes import encode
from shards.errors import PackError
from shards.manifest import is_split
from shards.packing.prepare import Candidate

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from shards.manifest import JSON, Manifest
    from shards.sample import AnnotatedSet, Sample


@dataclass(frozen=True)
class Plan:
    """Everything that determines the bytes of a set.

    Attributes:
        classes: in column order.
        config: the settings, as JSON values.
        splits: their names, in order.
        listing: sha256 of the input: splits, paths, sizes, labels and the source's rejections;
            hexadecimal.
        stamps: sha256 of the modification times; hexadecimal. Not part of a finished set: a copy
            of the same images yields the same set.
    """

    classes: tuple[str, ...]
    config: Mapping[str, JSON]
    splits: tuple[str, ...]
    listing: str
    stamps: str

    def to_json(self) -> bytes:
        """Serialize the plan, for comparison by a later run."""
        return json.dumps(asdict(self)).encode("ascii")

    @classmethod
    def from_json(cls, data: bytes) -> Plan:
        """Parse the output of `to_json`.

        Raises:
            ValueError, TypeError, KeyError: it is not a valid plan.
        """
        value: dict[str, Any] = json.loads(data)
        lists = {"classes": tuple(value["classes"]), "splits": tuple(value["splits"])}
        return cls(**{**value, **lists})

    def differs(self, other: Plan | Manifest) -> str:
        """Describe how an existing set, finished or not, differs from this plan; '' if it does not.

        Args:
            other: the existing set.
        """
        found = [
            f"{name} {_brief(other.config.get(name))}, now {_brief(self.config.get(name))}"
            for name in sorted({*self.config, *other.config})
            if self.config.get(name) != other.config.get(name)
        ]
        if self.classes != other.classes:
            found.append(f"classes {_brief(other.classes)}, now {_brief(self.classes)}")
        if self.listing != other.listing:
            found.append("different images, labels or splits")
        elif isinstance(other, Plan) and self.stamps != other.stamps:
            found.append("images that have changed since")
        return "; ".join(found)


def survey(
    annotated: AnnotatedSet,
    splits: Mapping[str, Sequence[Sample]],
    *,
    classes: Sequence[str],
    config: Mapping[str, JSON],
) -> tuple[Plan, dict[str, list[Candidate]]]:
    """Read every image's size and modification time, and check its labels.

    Args:
        annotated: the set.
        splits: its samples, by split name.
        classes: in column order.
        config: the settings that determine the bytes.

    Returns:
        The plan, and the candidates of each split, in the order of `in_order`.

    Raises:
        LabelError: a sample has a class that is not in `classes`.
        PackError: a split has no samples or a name that is invalid in sample keys.
    """
    listing, stamps = hashlib.sha256(), hashlib.sha256()
    candidates: dict[str, list[Candidate]] = {}
    known = frozenset(classes)
    for split, samples in splits.items():
        _check_split(split, samples)
        candidates[split] = []
        for sample in in_order(annotated, samples):
            if not known.issuperset((*sample.present, *sample.difficult)):
                encode(sample, classes)  # raises with a message that says what to do
            size, changed = _stamp(annotated, sample.path)
            candidates[split].append(Candidate(sample, size))
            listing.update(_line([split, sample.path, size, sample.present, sample.difficult]))
            stamps.update(b"[%d]\n" % changed)
    for rejection in annotated.rejected:
        listing.update(_line([rejection.path, rejection.fault.reason, rejection.fault.detail]))
    plan = Plan(
        classes=tuple(classes),
        config=json.loads(json.dumps(dict(config))),
        splits=tuple(candidates),
        listing=listing.hexdigest(),
        stamps=stamps.hexdigest(),
    )
    return plan, candidates


def in_order(annotated: AnnotatedSet, samples: Iterable[Sample]) -> list[Sample]:
    """Samples as they are packed: sorted by path, or as they stand in the set's store."""
    store = annotated.store
    if store is None:
        return sorted(samples, key=attrgetter("path"))
    return sorted(samples, key=lambda sample: store.position(sample.path))


def _stamp(annotated: AnnotatedSet, path: str) -> tuple[int, int]:
    """Size in bytes and modification time in ns; -1 if unknown."""
    if annotated.store is not None:
        return annotated.store.stamp(path)
    return _look(os.path.join(annotated.root, path))  # noqa: PTH118 - a fifth of the time


def _check_split(split: str, samples: Sequence[Sample]) -> None:
    if not is_split(split):
        raise PackError(f"split {split!r}: use letters, digits and '_' only, at most 32.")
    if not samples:
        raise PackError(
            f"split '{split}' has no images. Check its list, or choose another way to split."
        )


def _look(path: str) -> tuple[int, int]:
    """Size in bytes and modification time in ns; -1 if the file cannot be accessed."""
    try:
        status = os.stat(path)  # noqa: PTH116 - as for PTH118 above
    except (OSError, ValueError):  # reading the file will report why
        return -1, -1
    return status.st_size, status.st_mtime_ns


def _line(values: Iterable[object]) -> bytes:
    return json.dumps(list(values)).encode("ascii") + b"\n"


def _brief(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
