"""YOLO data sets as a source: a data.yaml, named by the user or in the folder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from shards.paths import shown
from shards.sources.source import Request, Source, Tree
from shards.sources.yolo.config import is_damaged
from shards.sources.yolo.read import DATA, find_configs, only_config, read_yolo

if TYPE_CHECKING:
    from shards.sample import AnnotatedSet


def _looks_like(tree: Tree) -> str | None:
    found = find_configs(tree.root)
    if not found and is_damaged(tree.root / DATA):  # reading it says what is wrong
        return DATA
    return shown(found[0].name) if found else None


def _read(tree: Tree, request: Request) -> AnnotatedSet:
    file = request.labels or only_config(tree.root)
    return tree.without(read_yolo(tree.root, file), f"in no split of {shown(file.name)}")


SOURCE: Final = Source(name="yolo", looks_like=_looks_like, read=_read)
