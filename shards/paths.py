"""Paths as annotated sets write them: which names are images, and what stands in one line."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING

from shards.image_formats import format_of_name

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def shown(name: str) -> str:
    """A name as it can stand in a message of one line.

    File names may hold line ends and bytes that are no text; those come out escaped and quoted.
    """
    return name if name.isprintable() else repr(name)


def first_names(names: Sequence[str], *, most: int = 3) -> str:
    """The first of some names, as they can stand in a message, and how many others there are."""
    told = ", ".join(shown(name) for name in names[:most])
    return told if len(names) <= most else f"{told} and {len(names) - most} others"


def is_image(name: str) -> bool:
    """Whether a file is an image by its name, decoded or not, and not hidden."""
    return not name.startswith(".") and format_of_name(name) is not None


def relative_path(text: str, root: Path) -> str | None:
    r"""A path as a user wrote it, as `Sample.path` has it.

    Args:
        text: relative to `root`, or absolute inside it; '/' or '\' between folders.
        root: the folder of the set.

    Returns:
        Relative to `root` with '/' between folders and no '.', '..' or '//' in it; None where the
        text is blank or leads out of the root. No file is looked at.
    """
    path = text.replace("\\", "/")
    if path.startswith("/"):
        # The root as it was given and as links lead to it: a table may have either.
        path = _below(path, root.absolute()) or _below(path, root.resolve()) or ".."
    path = posixpath.normpath(path) if path.strip() else "."
    return None if path in {".", ".."} or path.startswith("../") else path


def _below(path: str, folder: Path) -> str | None:
    """`path` relative to `folder`, or None where it does not lie in it."""
    inside = posixpath.relpath(path, folder)
    return None if inside == ".." or inside.startswith("../") else inside
