"""YOLO data sets as a source: a data.yaml, named by the user or in the folder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from shards.paths import shown
from shards.sources.source import Request, Source, Tree
from shards.sources.yolo.read import find_configs, read_yolo

if TYPE_CHECKING:
    from shards.sample import AnnotatedSet


def _looks_like(tree: Tree) -> str | None:
    found = find_configs(tree.root)
    return shown(found[0].name) if found else None


def _read(tree: Tree, request: Request) -> AnnotatedSet:
    return read_yolo(tree.root, request.labels)


SOURCE: Final = Source(name="yolo", looks_like=_looks_like, read=_read)
