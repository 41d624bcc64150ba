"""Paths as annotated sets write them, and how messages show them."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING

from shards.image_formats import format_of_name

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def shown(name: str) -> str:
    """A name in a form that fits a one-line message.

    File names may contain line ends and bytes that are not text; these are escaped and quoted.
    """
    return name if name.isprintable() else repr(name)


def first_names(names: Sequence[str], *, most: int = 3) -> str:
    """The first few names, in a form that fits a message, and the number of others."""
    told = ", ".join(shown(name) for name in names[:most])
    return told if len(names) <= most else f"{told} and {len(names) - most} others"


def is_image(name: str) -> bool:
    """Whether a file is an image by its name, in a supported format or not, and not hidden."""
    return not name.startswith(".") and format_of_name(name) is not None


def relative_path(text: str, root: Path) -> str | None:
    r"""Convert a path that a user wrote to the form of `Sample.path`.

    Args:
        text: relative to `root`, or absolute inside it; '/' or '\' between folders.
        root: the folder of the set.

    Returns:
        Relative to `root` with '/' between folders and without '.', '..' or '//'; None if the
        text is blank or leads out of the root. The file system is not accessed for the file.
    """
    path = text.replace("\\", "/")
    if path.startswith("/"):
        # The root as given and with links resolved: a table may use either.
        path = _below(path, root.absolute()) or _below(path, root.resolve()) or ".."
    path = posixpath.normpath(path) if path.strip() else "."
    return None if path in {".", ".."} or path.startswith("../") else path


def folder_of(file: Path, root: Path) -> str:
    """The folder of a file relative to the root; '' for the root itself, or outside of it."""
    try:
        inside = file.resolve().parent.relative_to(root.resolve()).as_posix()
    except ValueError:
        return ""
    return "" if inside == "." else inside


def _below(path: str, folder: Path) -> str | None:
    """`path` relative to `folder`, or None if it is not inside."""
    inside = posixpath.relpath(path, folder)
    return None if inside == ".." or inside.startswith("../") else inside
