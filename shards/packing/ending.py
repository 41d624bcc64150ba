"""The end of a packing run: the list of rejected images, the limit on them, and the manifest."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from shards.errors import PackError
from shards.manifest import Manifest, Split, write_manifest
from shards.packing.rejected import REJECTED, write_rejected

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from shards.manifest import Shard
    from shards.packing.plan import Plan
    from shards.sample import Rejection

Packed: TypeAlias = "Mapping[str, tuple[Sequence[Shard], Sequence[Rejection]]]"
"""The shards of each split, and the images left out of it."""


@dataclass(frozen=True)
class PackReport:
    """The result of packing.

    Attributes:
        manifest: the set.
        rejected: the images left out, by this run and those that it resumed, the source's own
            first; empty if `unchanged`.
        unchanged: the same set already existed, and nothing was written.
    """

    manifest: Manifest
    rejected: tuple[Rejection, ...]
    unchanged: bool


@dataclass(frozen=True)
class Ending:
    """Begins and ends a run.

    Attributes:
        out: the set.
        plan: what is packed.
        listed: the source's own rejections.
        total: number of candidates.
        max_bad: fraction of the images that may be left out.
    """

    out: Path
    plan: Plan
    listed: tuple[Rejection, ...]
    total: int
    max_bad: float

    def list_rejected(self, rejected: Sequence[Rejection]) -> None:
        """Write `rejected.csv`, and raise if it has too many images.

        Raises:
            PackError: it has.
        """
        file = self.out / REJECTED
        write_rejected(file, rejected)
        total = self.total + len(self.listed)
        if len(rejected) > self.max_bad * total:
            reasons = Counter(str(bad.fault.reason) for bad in rejected).most_common()
            raise PackError(
                f"{file}: {len(rejected)} of {total} images ({len(rejected) / total:.1%}) cannot "
                f"be used ({', '.join(f'{count} {reason}' for reason, count in reasons)}), more "
                f"than `max_bad={self.max_bad:g}` allows. Raise it and rerun to resume, or fix "
                "the images and rerun with `overwrite=True`."
            )

    def finish(self, packed: Packed) -> PackReport:
        """Mark the set as complete.

        Raises:
            PackError: too many images are left out, or all of a split.
        """
        rejected = [*self.listed, *(bad for _, those in packed.values() for bad in those)]
        self.list_rejected(rejected)
        for split, (shards, those) in packed.items():
            if not shards:
                raise PackError(
                    f"split '{split}': none of its {len(those)} images can be used; the reasons "
                    f"are in {self.out / REJECTED}. Fix them and rerun with `overwrite=True`."
                )
        manifest = Manifest(
            classes=self.plan.classes,
            splits={split: Split(tuple(shards)) for split, (shards, _) in packed.items()},
            rejected=len(rejected),
            config=self.plan.config,
            listing=self.plan.listing,
        )
        write_manifest(self.out, manifest)
        return PackReport(manifest, tuple(rejected), unchanged=False)
