"""Packing for tests: on one core, and without a look at the images unless it is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shards.classes import VOC_CLASSES
from shards.packing.pack import pack

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from shards.sample import AnnotatedSet, Sample


def pack_quickly(
    annotated: AnnotatedSet,
    splits: Mapping[str, Sequence[Sample]],
    out: Path,
    *,
    classes: Sequence[str] = VOC_CLASSES,
    shard_samples: int = 7,
    resize: int | None = None,
    verify: bool = False,
) -> Path:
    """Pack a set in shards of a few images, and return their folder."""
    pack(
        annotated,
        splits,
        out,
        classes=classes,
        shard_samples=shard_samples,
        verify=verify,
        max_bad=0,
        max_pixels=10**6,
        resize=resize,
        quality=95,
        workers=1,
        overwrite=False,
        settings={} if resize is None else {"resize": resize, "quality": 95},
    )
    return out
