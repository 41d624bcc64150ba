"""Lists the folder of a packed set: its shards and the other files in it."""

from __future__ import annotations

import posixpath
import shlex
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from shards.manifest import NAME as MANIFEST
from shards.manifest import index_name, split_of
from shards.packed_set import manifest_of
from shards.packing.rejected import REJECTED
from shards.paths import first_names
from shards.remote.places import is_remote
from vocscore.errors import ScoreError
from vocscore.pipeline.raw import refuse_other_set
from vocscore.scoring.inputs.tar_units import Tars, open_tars
from vocscore.scoring.inputs.walk import walk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from shards.manifest import Manifest
    from vocscore.pipeline.preprocess import Preprocess
    from vocscore.scoring.inputs.units import Inputs
    from vocscore.scoring.inputs.walk import Found


def packed_tars(
    folder: Path, manifest: Manifest, *, listing: Callable[[int], None] | None = None
) -> Tars:
    """List the shards of a packed set, then other tars beside them.

    Raises:
        ScoreError: a shard is missing.
    """
    found = walk(str(folder), passed_over=own_files(manifest), listing=listing)
    tars = tars_of_set(str(folder), manifest, found, exists=lambda name: (folder / name).is_file())
    return open_tars(
        folder, tars.names, samples=tars.samples, skipped=found.skipped, problems=tars.problems
    )


def refuse_other_raw(inputs: Inputs, preprocess: Preprocess, sizes: Sequence[int]) -> None:
    """Raise if some of the inputs are raw shards of another form than a model takes.

    Args:
        inputs: what is to be scored.
        preprocess: of the model.
        sizes: height and width of the images that it takes, pixels.

    Raises:
        PreprocessError: they are; the line says what to do.
        DamageError: the manifest of a set is damaged.
    """
    if not isinstance(inputs, Tars) or "://" in inputs.root:
        return
    for folder in sorted({posixpath.dirname(name) for name in inputs.names}):
        manifest = manifest_of(Path(inputs.root, folder))
        for size in sizes:
            wanted = replace(preprocess, size=size)
            refuse_other_set(manifest, wanted, posixpath.join(inputs.root, folder))


def own_files(manifest: Manifest) -> frozenset[str]:
    """The names of the files that packing wrote."""
    names = [shard.name for shard in manifest.shards()]
    return frozenset((MANIFEST, REJECTED, *names, *map(index_name, names)))


@dataclass(frozen=True, slots=True)
class SetTars:
    """The tars of a packed set to score: names, numbers of images if known, and warnings."""

    names: Sequence[str]
    samples: Sequence[int | None]
    problems: Sequence[str]


def tars_of_set(
    folder: str, manifest: Manifest, found: Found, *, exists: Callable[[str], bool]
) -> SetTars:
    """Choose the tars to score.

    A tar that is named like a shard of the set and is not in its manifest was left by another run,
    so its images are most likely in the set already. It is reported and not scored, like
    everything beside the shards that is not a tar.

    Args:
        folder: of the set, for messages.
        manifest: of the set.
        found: what else is in the folder.
        exists: whether there is a file of a name in the folder.

    Raises:
        ScoreError: a shard is missing.
    """
    shards = manifest.shards()
    for shard in shards:
        if not exists(shard.name):
            raise ScoreError(
                f"{posixpath.join(folder, shard.name)}: listed in {MANIFEST}, but missing. Copy "
                f"the set again.{_how_to_list(folder)}"
            )
    left = [name for name in found.tars if _is_left(name, manifest, exists)]
    added = [name for name in found.tars if "/" not in name and name not in left]
    return SetTars(
        [*(shard.name for shard in shards), *added],
        [*(shard.samples for shard in shards), *(None for _ in added)],
        [*found.problems, *_problems(found, added, left)],
    )


def _how_to_list(folder: str) -> str:
    if is_remote(folder):
        return ""
    return f" To list all missing files: {shlex.join(['vocscore', 'verify', folder])}"


def _is_left(name: str, manifest: Manifest, exists: Callable[[str], bool]) -> bool:
    split = split_of(name)
    return split is not None and (split in manifest.splits or exists(index_name(name)))


def _problems(found: Found, added: Sequence[str], left: Sequence[str]) -> Iterator[str]:
    if added:
        yield (
            f"{first_names(added)}: not in {MANIFEST}; scored after the shards of the set "
            f"({len(added)} here)"
        )
    if left:
        yield (
            f"{first_names(left)}: named like a shard of this set but not in {MANIFEST}, so left "
            f"by another run; not scored ({len(left)} here). Remove it, or name it to score it"
        )
    below = [name for name in found.tars if "/" in name]
    for kind, names in (
        ("tars in folders of", below),
        ("images beside the shards of", found.images),
    ):
        if names:
            yield (
                f"{first_names(names)}: {kind} a packed set are not scored ({len(names)} here); "
                "name them to score them"
            )
    yield from archives_left_out(found.archives)


def archives_left_out(names: Sequence[str]) -> Iterator[str]:
    """Yield a warning about the archives in a folder, if there are any."""
    if names:
        yield (
            f"{first_names(names)}: archives are not read ({len(names)} here); unpack them "
            "to score their contents"
        )
