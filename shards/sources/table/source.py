"""A table of labels as a source: named by the user, or the only table in the folder."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, Final

from shards.paths import first_names
from shards.sources.source import Request, Source, Tree
from shards.sources.table.header import is_header
from shards.sources.table.read import read_table
from shards.sources.table.text import DELIMITERS

if TYPE_CHECKING:
    from shards.sample import AnnotatedSet


def _tables(tree: Tree) -> list[str]:
    """The files directly in the folder that begin with the header of a table of labels."""
    return [name for name in tree.at_top(".csv", ".tsv") if _has_header(tree.head(name))]


def _has_header(head: bytes) -> bool:
    first = head.decode("utf-8-sig", errors="replace").splitlines()[:1]
    try:
        headers = [next(csv.reader(first, delimiter=one), []) for one in DELIMITERS]
    except csv.Error:
        return False
    return any(is_header([cell.strip() for cell in cells]) for cells in headers)


def _looks_like(tree: Tree) -> str | None:
    tables = _tables(tree)
    return first_names(tables) if tables and tree.images else None


def _read(tree: Tree, request: Request) -> AnnotatedSet:
    file = request.labels or tree.only(
        _tables(tree), several="tables", none="table of labels", suffix=".csv"
    )
    return read_table(tree.root, file, label_separator=request.separator)


SOURCE: Final = Source(name="table", looks_like=_looks_like, read=_read, weak=True)
