"""Decides what a listed folder or a file is: images, tars, a list, or nothing to score."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING, BinaryIO, Final, Literal, TypeAlias

from shards.archives import archive_of_head, archive_of_name, is_tar_head
from shards.file_kinds import is_known_other, is_tar, listed
from shards.image_formats import FORMATS, SNIFFED_BYTES, format_of_name, sniff
from shards.paths import first_names, shown
from vocscore.errors import ScoreError
from vocscore.scoring.inputs.lists import LIST_SUFFIXES, read_list
from vocscore.scoring.inputs.packed import archives_left_out
from vocscore.scoring.inputs.units import LooseFiles

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shards.archives import Archive
    from vocscore.scoring.inputs.walk import Found

FileKind: TypeAlias = Literal["list", "image", "tar"]
SOURCES: Final = (
    "A source is a folder of images, packed shards, a .tar, a list of paths (.txt, .lst, .list, or "
    "'-' for standard input), or one image."
)
_PIECE_BYTES: Final = 1 << 20


def problems_of(found: Found, folder: str) -> list[str]:
    """Return the warnings about a folder; its images are scored, or its tars if there are none.

    Args:
        found: what is in the folder.
        folder: its path or URL.

    Raises:
        ScoreError: there is neither.
    """
    problems = [*found.problems, *archives_left_out(found.archives)]
    if found.images:
        if found.tars:
            problems.append(
                f"{first_names(found.tars)}: tars beside images are not scored ({len(found.tars)} "
                "here); name them to score them"
            )
    elif all(archive_of_name(name) for name in found.tars):  # or there is none
        raise ScoreError(_nothing(folder, found))
    return problems


def _nothing(folder: str, found: Found) -> str:
    """Return a message: what was looked for, and what was found instead."""
    line = (
        f"{shown(folder)}: no image in it or its subfolders (looked for "
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
    command = f" ({archive.command(posixpath.join(folder, packed[0]))})" if archive else ""
    return f"{line} Archives are not read: unpack {first_names(packed)} first{command}."


def kind_of_file(head: bytes, source: str) -> FileKind:
    """Return what a file is, by its name and its first bytes.

    Args:
        head: the first `HEAD_BYTES` bytes.
        source: its path or URL.

    Raises:
        ScoreError: it is nothing that can be scored.
    """
    name, where = posixpath.basename(source), shown(source)
    image, tar = sniff(head[:SNIFFED_BYTES]) is not None, is_tar_head(head)
    archive = None if image or tar else _archive(name, head)
    # A text may begin like an image, but does not contain a zero byte.
    binary = b"\0" in head and (image or tar or archive is not None)
    if posixpath.splitext(name)[1].lower() in LIST_SUFFIXES and not binary:
        return "list"
    if archive is not None:
        raise ScoreError(
            f"{where}: {archive.kind}, which is not read. Unpack it ({archive.command(source)}) "
            "and score its contents."
        )
    if image or format_of_name(name) is not None:
        return "image"
    if tar or is_tar(name):
        return "tar"
    raise ScoreError(
        f"{where}: not an image by its name or its first bytes, not a tar, not a list. {SOURCES}"
    )


def _archive(name: str, head: bytes) -> Archive | None:
    """Return the kind of archive; None for a document in such a format (.docx, .npz)."""
    if is_known_other(name) and not name.lower().endswith(LIST_SUFFIXES):
        return None
    archive = archive_of_name(name) or archive_of_head(head)
    return None if archive and name.lower().endswith(".svgz") else archive


def list_of(file: BinaryIO, where: str, *, root: str) -> LooseFiles:
    """Read a list of paths relative to `root`; `where` names it in messages.

    Raises:
        ScoreError: as for `read_list`.
    """
    found = read_list(_lines(file), where, root=root)
    return LooseFiles(
        root, found.names, found.skipped, found.notes, found.faults, signed=found.signed
    )


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
