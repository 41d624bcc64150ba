"""PASCAL VOC as a source."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from shards.errors import SourceError
from shards.sources.folders import folders_in
from shards.sources.source import Request, Source, Tree
from shards.sources.voc.layout import YEAR, find_layout
from shards.sources.voc.read import read_voc

if TYPE_CHECKING:
    from shards.sample import AnnotatedSet


def _looks_like(tree: Tree) -> str | None:
    try:
        if years := [name for name in folders_in(tree.root) if YEAR.fullmatch(name)]:
            return f"{years[0]}/"
        place = find_layout(tree.root).places[0]
    except SourceError:
        return None
    if place.images == place.annotations:
        return ".xml beside images"
    return f"{place.images} and {place.annotations}"


def _read(tree: Tree, _request: Request) -> AnnotatedSet:
    return read_voc(tree.root)


SOURCE: Final = Source(name="voc", looks_like=_looks_like, read=_read)
