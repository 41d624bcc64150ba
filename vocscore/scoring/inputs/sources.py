"""Turns the argument SRC into `Inputs`: a folder, shards, a tar, a list, or one image."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from itertools import compress
from pathlib import Path
from typing import TYPE_CHECKING

from shards.archives import HEAD_BYTES
from shards.file_kinds import is_tar
from shards.files import NotAFileError, open_binary
from shards.manifest import NAME as MANIFEST
from shards.packed_set import manifest_of
from shards.paths import shown
from shards.remote import places
from vocscore.errors import ScoreError
from vocscore.scoring.inputs.collector import kept
from vocscore.scoring.inputs.globs import EVERYTHING
from vocscore.scoring.inputs.packed import packed_tars
from vocscore.scoring.inputs.recognized import SOURCES, kind_of_file, list_of, problems_of
from vocscore.scoring.inputs.tar_units import Tars, open_tars
from vocscore.scoring.inputs.units import LooseFiles, path_of
from vocscore.scoring.inputs.urls import refuse_url
from vocscore.scoring.inputs.walk import walk

if TYPE_CHECKING:
    from collections.abc import Callable

    from vocscore.scoring.inputs.globs import Globs
    from vocscore.scoring.inputs.units import Inputs

    Listing = Callable[[int], None] | None

STANDARD_INPUT = Path("-")


def read_source(
    source: str | Path, *, globs: Globs = EVERYTHING, listing: Listing = None
) -> Inputs:
    """List what to score; no image is read.

    Args:
        source: a folder of images or of tars, searched recursively (tars are used if there are no
            images); packed shards (a folder with our `dataset.json` and tars: all splits in their
            order, then other tars beside them); one tar; a list (`.txt`, `.lst`, `.list`, or '-'
            for standard input; one path per line, absolute or relative to the list's folder, rows
            in the order of the list); or one image, recognized by its name or its first bytes. As
            str, it may also be a URL.
        globs: which of the images are inputs, by their paths as written in the output. A tar is
            left out if an exclusion matches its own path; a tar that cannot be read remains a row,
            even if nothing includes it.
        listing: as for `walk`.

    Raises:
        ScoreError: there is no such source, it is empty, or it has to be unpacked first.
        StorageError: object storage denies access, or cannot be reached.
        DamageError: the manifest of packed shards is damaged.
    """
    if is_url(source):
        from vocscore.scoring.inputs.remote import read_remote

        inputs = read_remote(os.fspath(source), listing=listing)
    else:
        refuse_url(source)
        if not os.fspath(source):
            raise ScoreError(f"SRC is empty. {SOURCES}")
        inputs = _listed(Path(source), listing)
    return _chosen(inputs, globs, source) if globs else inputs


def is_url(source: str | Path) -> bool:
    """Whether a source is read from object storage, and not a file of that name."""
    text = os.fspath(source)
    return places.is_remote(text) and not os.path.lexists(text)


def _listed(source: Path, listing: Listing) -> LooseFiles | Tars:
    if source == STANDARD_INPUT:
        return list_of(sys.stdin.buffer, "standard input", root="")
    try:
        return _folder(source, listing) if source.is_dir() else _file(source)
    except NotAFileError as error:
        raise ScoreError(
            f"{shown(str(source))}: {error.strerror}. To read a list of paths from a pipe, give "
            "'-' and pipe it to standard input."
        ) from error
    except OSError as error:
        raise ScoreError(
            f"{shown(str(source))}: {str(error.strerror).lower()}. {SOURCES}"
        ) from error


def _chosen(inputs: LooseFiles | Tars, globs: Globs, source: str | Path) -> Inputs:
    """Leave out what the user excluded."""
    if isinstance(inputs, Tars):
        stay = [not globs.drops(name) for name in inputs.names]
        chosen: LooseFiles | Tars = replace(
            inputs,
            names=list(compress(inputs.names, stay)),
            sizes=list(compress(inputs.sizes, stay)),
            changed=list(compress(inputs.changed, stay)),
            samples=list(compress(inputs.samples, stay)),
            globs=globs,
        )
    else:
        root = inputs.root
        names = kept(inputs.names, lambda name: globs.keeps(path_of(name, root)))
        chosen = replace(inputs, names=names, globs=globs)
    if not chosen.names:
        kind = "tars" if isinstance(inputs, Tars) else "images"
        first = shown(path_of(inputs.names[0], inputs.root))
        raise ScoreError(
            f"{shown(given_name(source))}: {globs} leaves none of its {len(inputs.names)} {kind} "
            f"(the first is {first}). A pattern matches the whole path: '*.jpg', "
            "'cats/*'."
        )
    return chosen


def given_name(source: str | Path) -> str:
    """Return a source as it was given; a URL without credentials and query."""
    return places.source_name(os.fspath(source)) if is_url(source) else os.fspath(source)


def source_name(source: str | Path) -> str:
    """Return what distinguishes sources whose images have the same names.

    The absolute path, or a URL without credentials, query and a '/' at its end.
    """
    if is_url(source):
        return given_name(source).rstrip("/")
    source = Path(source)
    if source == STANDARD_INPUT:
        return f"standard input in {Path.cwd()}"
    return str(source.absolute())


def _folder(folder: Path, listing: Listing) -> LooseFiles | Tars:
    if (folder / MANIFEST).exists() and any(is_tar(path.name) for path in folder.iterdir()):
        manifest = manifest_of(folder)
        if manifest is not None:
            return packed_tars(folder, manifest, listing=listing)
    found = walk(str(folder), listing=listing)
    problems = problems_of(found, str(folder))
    if found.images:
        return LooseFiles(str(folder), found.images, found.skipped, problems)
    return open_tars(folder, found.tars, skipped=found.skipped, problems=problems)


def _file(source: Path) -> LooseFiles | Tars:
    with open_binary(source) as file:
        kind = kind_of_file(file.read(HEAD_BYTES), str(source))
        if kind == "list":
            file.seek(0)
            return list_of(file, shown(str(source)), root=str(source.parent))
    if kind == "image":
        return LooseFiles(str(source.parent), [source.name])
    return open_tars(source.parent, [source.name])
