"""What the user calls SRC to `Inputs`: a folder, shards, a tar, a list, or one picture."""

from __future__ import annotations

import codecs
import os
import shlex
import sys
from dataclasses import replace
from itertools import compress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from shards.image_formats import IMAGE_SUFFIXES
from shards.manifest import NAME as MANIFEST
from shards.manifest import read_manifest
from shards.paths import shown
from vocscore.errors import ScoreError
from vocscore.score.inputs.globs import EVERYTHING
from vocscore.score.inputs.units import Files, Tars
from vocscore.score.inputs.walk import is_tar, walk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from vocscore.score.inputs.globs import Globs
    from vocscore.score.inputs.units import Inputs

    Listing = Callable[[int], None] | None

STANDARD_INPUT = Path("-")


def read_source(source: Path, *, globs: Globs = EVERYTHING, listing: Listing = None) -> Inputs:
    """List what there is to score; no picture is read.

    Args:
        source: a folder of pictures or of tars, searched to the bottom (tars count where there
            are no pictures); packed shards (a folder with `dataset.json` and tars: all splits in
            their order); one tar; a list (`.txt`, or '-' for standard input; one path a line,
            absolute or relative to the list's folder, rows in the order of the list); or one
            picture, whatever its name.
        globs: which of the pictures are inputs, by their paths as the output has them. A tar is
            left out whole where an exclusion matches its own path; one that cannot be read stays a
            row, whatever has to be included.
        listing: as for `walk`.

    Raises:
        ScoreError: there is no such source, or nothing in it.
        DamageError: the manifest of packed shards is damaged.
    """
    inputs = _listed(source, listing)
    return _chosen(inputs, globs, source) if globs else inputs


def _listed(source: Path, listing: Listing) -> Files | Tars:
    if source == STANDARD_INPUT:
        return _list(sys.stdin.buffer, "standard input", root="")
    try:
        if source.is_dir():
            packed = (source / MANIFEST).is_file() and any(is_tar(p.name) for p in source.iterdir())
            return _packed(source) if packed else _folder(source, listing)
        if is_tar(source.name):
            return _tars(source.parent, [source.name])
        if source.suffix.lower() == ".txt":
            with source.open("rb") as file:
                return _list(file, str(source), root=str(source.parent))
        source.stat()
    except OSError as error:
        raise ScoreError(
            f"{shown(str(source))}: {str(error.strerror).lower()}. A source is a folder of "
            "pictures, packed shards, a .tar, a list of paths (.txt, or '-'), or one picture."
        ) from error
    return Files(str(source.parent), [source.name])


def _chosen(inputs: Files | Tars, globs: Globs, source: Path) -> Inputs:
    """Leave out what the user does not want."""
    if isinstance(inputs, Tars):
        kept = [not globs.drops(name) for name in inputs.names]
        chosen: Files | Tars = replace(
            inputs,
            names=list(compress(inputs.names, kept)),
            sizes=list(compress(inputs.sizes, kept)),
            changed=list(compress(inputs.changed, kept)),
            samples=inputs.samples and list(compress(inputs.samples, kept)),
            globs=globs,
        )
    else:
        names = [name for name in inputs.names if globs.keeps(name)]
        chosen = replace(inputs, names=names, globs=globs)
    if not chosen.names:
        kind = "tars" if isinstance(inputs, Tars) else "pictures"
        raise ScoreError(
            f"{shown(str(source))}: {globs} leaves none of its {len(inputs.names)} {kind} (the "
            f"first is {shown(inputs.names[0])}). A pattern stands for the whole path: '*.jpg', "
            "'cats/*'."
        )
    return chosen


def source_name(source: Path) -> str:
    """Tell two sources apart whose pictures have the same names: the absolute path."""
    if source == STANDARD_INPUT:
        return f"standard input in {Path.cwd()}"
    return str(source.absolute())


def _folder(folder: Path, listing: Listing) -> Files | Tars:
    found = walk(str(folder), listing=listing)
    if found.pictures:
        if found.tars:
            found.problems.append(
                f"{shown(found.tars[0])}: tars beside pictures are not scored ({len(found.tars)} "
                "here); name them to score them"
            )
        return Files(str(folder), found.pictures, found.skipped, found.problems)
    if found.tars:
        return _tars(folder, found.tars, skipped=found.skipped, problems=found.problems)
    problem = f" {found.problems[0]}." if found.problems else ""
    raise ScoreError(
        f"{folder}: no picture in it or below (looked for {' '.join(IMAGE_SUFFIXES[:10])}, then "
        f"for .tar; there are {found.skipped} other files).{problem} Name a folder that holds pictures."
    )


def _packed(folder: Path) -> Tars:
    shards = read_manifest(folder).shards()
    for shard in shards:
        if not (folder / shard.name).is_file():
            raise ScoreError(
                f"{folder / shard.name}: in {MANIFEST}, and not there. Copy the set again. To list "
                f"all that is missing: {shlex.join(['vocscore', 'verify', str(folder)])}"
            )
    return _tars(folder, [s.name for s in shards], samples=[s.samples for s in shards])


def _tars(
    root: Path,
    names: Sequence[str],
    *,
    samples: Sequence[int] | None = None,
    skipped: int = 0,
    problems: Sequence[str] = (),
) -> Tars:
    sizes, changed = [], []
    for name in names:
        size, time = _size_and_time(root / name)
        sizes.append(size)
        changed.append(time)
    return Tars(str(root), names, sizes, changed, samples, skipped, problems)


def _size_and_time(file: Path) -> tuple[int, int]:
    """Bytes and nanoseconds; 0 for a file that has gone, which its unit will find out."""
    try:
        status = file.stat()
    except OSError:
        return 0, 0
    return status.st_size, status.st_mtime_ns


def _list(lines: BinaryIO, where: str, *, root: str) -> Files:
    names = list(_paths(lines, where))
    if not names:
        raise ScoreError(f"{where}: no path in it. A list has one path a line.")
    return Files(root, names)


def _paths(lines: Iterable[bytes], where: str) -> Iterable[str]:
    """Paths as they were written; only the line's end (of Unix or Windows) is taken off."""
    for number, line in enumerate(lines, 1):
        path = line.removesuffix(b"\n").removesuffix(b"\r")
        if number == 1:
            path = path.removeprefix(codecs.BOM_UTF8)
        if b"\0" in path:
            raise ScoreError(
                f"{where}, line {number}: a zero byte, which no path has. A list is UTF-8 with one "
                "path a line (not 'find -print0', not UTF-16)."
            )
        if path:
            yield os.fsdecode(path)
