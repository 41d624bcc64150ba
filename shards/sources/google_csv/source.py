"""Google's import CSV as a source: named by the user, or the only one in the folder."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, Final

from shards.paths import first_names, shown
from shards.sources.google_csv.read import read_import_csv
from shards.sources.google_csv.rows import is_image_path, split_and_rest
from shards.sources.source import Request, Source, Tree

if TYPE_CHECKING:
    from shards.sample import AnnotatedSet

_ROWS: Final = 5
"""Rows at the beginning that must name a split and an image."""


def _files(tree: Tree) -> list[str]:
    return [name for name in tree.at_top(".csv") if _is_import(tree.head(name))]


def _is_import(head: bytes) -> bool:
    """Whether rows begin with a split, or a blank, and an image; or with a gs:// URL."""
    lines = head.decode("utf-8-sig", "surrogateescape").splitlines()[:_ROWS]
    try:
        rows = [[cell.strip() for cell in cells] for cells in csv.reader(lines) if any(cells)]
    except csv.Error:
        return False
    return bool(rows) and all(map(_is_row, rows))


def _is_row(cells: list[str]) -> bool:
    split, rest = split_and_rest(cells)
    if split is None:
        return cells[0].lower().startswith("gs://")
    return bool(rest) and is_image_path(rest[0])


def _looks_like(tree: Tree) -> str | None:
    files = _files(tree)
    return first_names(files) if files else None


def _read(tree: Tree, request: Request) -> AnnotatedSet:
    file = request.labels or tree.only(
        _files(tree), several="import CSVs", none="import CSV", suffix=".csv"
    )
    return tree.without(read_import_csv(tree.root, file), f"not named in {shown(file.name)}")


SOURCE: Final = Source(name="google", looks_like=_looks_like, read=_read)
