"""Roboflow's `_classes.csv` as a source."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from shards.errors import SourceError
from shards.paths import first_names
from shards.sources.roboflow_csv.read import NAME, read_classes_csv
from shards.sources.source import Request, Source, Tree

if TYPE_CHECKING:
    from shards.sample import AnnotatedSet


def _looks_like(tree: Tree) -> str | None:
    files = tree.named(NAME)
    return first_names(files) if files else None


def _read(tree: Tree, request: Request) -> AnnotatedSet:
    files = [request.labels] if request.labels else []
    if not files:
        tree.all_files()  # or a split in a folder that cannot be listed would be left out
        files = [tree.root / name for name in tree.named(NAME)]
    if not files:
        raise SourceError(f"{tree.root}: no {NAME} in it. Name the table: `labels='FILE.csv'`.")
    return read_classes_csv(tree, files)


SOURCE: Final = Source(name="roboflow", looks_like=_looks_like, read=_read)
