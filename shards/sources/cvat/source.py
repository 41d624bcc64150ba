"""Exports of CVAT as a source: an annotations.xml, named by the user or in the folder."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from shards.paths import first_names, shown
from shards.sources.cvat.read import read_cvat
from shards.sources.source import Request, Source, Tree

if TYPE_CHECKING:
    from shards.sample import AnnotatedSet

_ROOT: Final = re.compile(rb"<annotations[\s>]")
_MANY: Final = 100
"""XML files above which each is about one image, so that none is CVAT's."""
_HEAD: Final = 1024


def _files(tree: Tree) -> list[str]:
    """The files directly in the folder that begin as CVAT's."""
    names = tree.at_top(".xml")
    if len(names) > _MANY:
        names = [name for name in names if name == "annotations.xml"]
    return [name for name in names if _ROOT.search(tree.head(name, _HEAD))]


def _looks_like(tree: Tree) -> str | None:
    files = _files(tree)
    return first_names(files) if files else None


def _read(tree: Tree, request: Request) -> AnnotatedSet:
    file = request.labels or tree.only(
        _files(tree) or tree.at_top(".xml"),
        several="files",
        none="annotations.xml",
        suffix=".xml",
    )
    return tree.without(read_cvat(tree.root, file), f"not named in {shown(file.name)}")


SOURCE: Final = Source(name="cvat", looks_like=_looks_like, read=_read)
