"""Turns the argument SRC into `Inputs`: a folder, shards, a tar, a list, or one image."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from itertools import compress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from shards.archives import HEAD_BYTES, archive_of_head, archive_of_name, is_tar_head
from shards.file_kinds import is_known_other, is_tar, listed
from shards.files import NotAFileError, open_binary
from shards.image_formats import FORMATS, SNIFFED_BYTES, format_of_name, sniff
from shards.manifest import NAME as MANIFEST
from shards.packed_set import manifest_of
from shards.paths import first_names, shown
from vocscore.errors import ScoreError
from vocscore.scoring.inputs.collector import kept
from vocscore.scoring.inputs.globs import EVERYTHING
from vocscore.scoring.inputs.lists import LIST_SUFFIXES, read_list
from vocscore.scoring.inputs.packed import archives_left_out, packed_tars
from vocscore.scoring.inputs.tar_units import Tars, open_tars
from vocscore.scoring.inputs.units import LooseFiles
from vocscore.scoring.inputs.urls import refuse_url
from vocscore.scoring.inputs.walk import walk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from shards.archives import Archive
    from vocscore.scoring.inputs.globs import Globs
    from vocscore.scoring.inputs.units import Inputs
    from vocscore.scoring.inputs.walk import Found

    Listing = Callable[[int], None] | None

STANDARD_INPUT = Path("-")
_PIECE_BYTES = 1 << 20
_SOURCES = (
    "A source is a folder of images, packed shards, a .tar, a list of paths (.txt, .lst, .list, or "
    "'-' for standard input), or one image."
)


def read_source(
    source: str | Path, *, globs: Globs = EVERYTHING, listing: Listing = None
) -> Inputs:
    """List what to score; no image is read.

    Args:
        source: a folder of images or of tars, searched recursively (tars are used if there are no
            images); packed shards (a folder with our `dataset.json` and tars: all splits in their
            order, then other tars beside them); one tar; a list (`.txt`, `.lst`, `.list`, or '-'
            for standard input; one path per line, absolute or relative to the list's folder, rows
            in the order of the list); or one image, recognized by its name or its first bytes.
        globs: which of the images are inputs, by their paths as written in the output. A tar is
            left out if an exclusion matches its own path; a tar that cannot be read remains a row,
            even if nothing includes it.
        listing: as for `walk`.

    Raises:
        ScoreError: there is no such source, it is empty, or it has to be unpacked first.
        DamageError: the manifest of packed shards is damaged.
    """
    refuse_url(source)
    if not os.fspath(source):
        raise ScoreError(f"SRC is empty. {_SOURCES}")
    path = Path(source)
    inputs = _listed(path, listing)
    return _chosen(inputs, globs, path) if globs else inputs


def _listed(source: Path, listing: Listing) -> LooseFiles | Tars:
    if source == STANDARD_INPUT:
        return _list(sys.stdin.buffer, "standard input", root="")
    try:
        return _folder(source, listing) if source.is_dir() else _file(source)
    except NotAFileError as error:
        raise ScoreError(
            f"{shown(str(source))}: {error.strerror}. To read a list of paths from a pipe, give "
            "'-' and pipe it to standard input."
        ) from error
    except OSError as error:
        raise ScoreError(
            f"{shown(str(source))}: {str(error.strerror).lower()}. {_SOURCES}"
        ) from error


def _chosen(inputs: LooseFiles | Tars, globs: Globs, source: Path) -> Inputs:
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
        chosen = replace(inputs, names=kept(inputs.names, globs.keeps), globs=globs)
    if not chosen.names:
        kind = "tars" if isinstance(inputs, Tars) else "images"
        raise ScoreError(
            f"{shown(str(source))}: {globs} leaves none of its {len(inputs.names)} {kind} (the "
            f"first is {shown(inputs.names[0])}). A pattern matches the whole path: '*.jpg', "
            "'cats/*'."
        )
    return chosen


def source_name(source: Path) -> str:
    """Return the absolute path, which distinguishes sources whose images have the same names."""
    if source == STANDARD_INPUT:
        return f"standard input in {Path.cwd()}"
    return str(source.absolute())


def _folder(folder: Path, listing: Listing) -> LooseFiles | Tars:
    if (folder / MANIFEST).exists() and any(is_tar(path.name) for path in folder.iterdir()):
        manifest = manifest_of(folder)
        if manifest is not None:
            return packed_tars(folder, manifest, listing=listing)
    found = walk(str(folder), listing=listing)
    problems = [*found.problems, *archives_left_out(found.archives)]
    if found.images:
        if found.tars:
            problems.append(
                f"{first_names(found.tars)}: tars beside images are not scored ({len(found.tars)} "
                "here); name them to score them"
            )
        return LooseFiles(str(folder), found.images, found.skipped, problems)
    if all(archive_of_name(name) for name in found.tars):  # or there is none
        raise ScoreError(_nothing(folder, found))
    return open_tars(folder, found.tars, skipped=found.skipped, problems=problems)


def _nothing(folder: Path, found: Found) -> str:
    """Return a message: what was looked for, and what was found instead."""
    line = (
        f"{shown(str(folder))}: no image in it or its subfolders (looked for "
        f"{' '.join(one.suffixes[0] for one in FORMATS[:9])} ... and first bytes of images, then "
        "for .tar)."
    )
    if found.skipped:
        line += f" Files skipped: {sum(found.skipped.values())} ({listed(found.skipped)})."
    if found.problems:
        line += f" {found.problems[0]}."
    packed = sorted([*found.tars, *found.archives])
    if not packed:
        return f"{line} Name a folder that contains images."
    archive = archive_of_name(packed[0])
    command = f" ({archive.command(str(folder / packed[0]))})" if archive else ""
    return f"{line} Archives are not read: unpack {first_names(packed)} first{command}."


def _file(source: Path) -> LooseFiles | Tars:
    name, where = source.name, shown(str(source))
    with open_binary(source) as file:
        head = file.read(HEAD_BYTES)
        image, tar = sniff(head[:SNIFFED_BYTES]) is not None, is_tar_head(head)
        archive = None if image or tar else _archive(name, head)
        # A text may begin like an image, but does not contain a zero byte.
        binary = b"\0" in head and (image or tar or archive is not None)
        if source.suffix.lower() in LIST_SUFFIXES and not binary:
            file.seek(0)
            return _list(file, where, root=str(source.parent))
    if archive is not None:
        raise ScoreError(
            f"{where}: {archive.kind}, which is not read. Unpack it "
            f"({archive.command(str(source))}) and score its contents."
        )
    if image or format_of_name(name) is not None:
        return LooseFiles(str(source.parent), [name])
    if tar or is_tar(name):
        return open_tars(source.parent, [name])
    raise ScoreError(
        f"{where}: not an image by its name or its first bytes, not a tar, not a list. {_SOURCES}"
    )


def _archive(name: str, head: bytes) -> Archive | None:
    """Return the kind of archive; None for a document in such a format (.docx, .npz)."""
    if is_known_other(name) and not name.lower().endswith(LIST_SUFFIXES):
        return None
    archive = archive_of_name(name) or archive_of_head(head)
    return None if archive and name.lower().endswith(".svgz") else archive


def _list(file: BinaryIO, where: str, *, root: str) -> LooseFiles:
    found = read_list(_lines(file), where, root=root)
    return LooseFiles(root, found.names, found.skipped, found.notes, found.faults)


def _lines(file: BinaryIO) -> Iterator[bytes]:
    """Yield whole lines, but of a line with a zero byte only the pieces up to it.

    Such a line is refused anyway, and the zeros of a sparse file may not fit into memory.
    """
    line = b""
    while piece := file.readline(_PIECE_BYTES):
        line += piece
        if piece.endswith(b"\n") or b"\0" in piece:
            yield line
            line = b""
    if line:
        yield line
