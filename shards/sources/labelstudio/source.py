"""Exports of Label Studio as a source: a JSON file, named by the user or in the folder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from shards.errors import SourceError
from shards.paths import first_names, shown
from shards.sources.labelstudio.read import read_labelstudio
from shards.sources.source import Request, Source, Tree

if TYPE_CHECKING:
    from shards.sample import AnnotatedSet

_TASK: Final = (b'"annotations"', b'"completions"')
_MINIMAL: Final = (b'"annotator"', b'"annotation_id"', b'"lead_time"')


def _files(tree: Tree) -> list[str]:
    """The files directly in the folder that begin as an export."""
    names = [name for name in tree.ending(".json") if "/" not in name]
    return [name for name in names if _is_export(tree.head(name))]


def _is_export(head: bytes) -> bool:
    if not head.lstrip(b"\xef\xbb\xbf \r\n\t").startswith(b"["):
        return False
    is_full = b'"data"' in head and any(key in head for key in _TASK)
    return is_full or all(key in head for key in _MINIMAL)


def _looks_like(tree: Tree) -> str | None:
    files = _files(tree)
    return first_names(files) if files and tree.images else None


def _read(tree: Tree, request: Request) -> AnnotatedSet:
    file = request.labels
    if file is None:
        files = _files(tree) or [name for name in tree.ending(".json") if "/" not in name]
        if len(files) != 1:
            there = f"several exports ({first_names(files)})" if files else "no export as JSON"
            raise SourceError(f"{tree.root}: {there}. Name the one to read: --labels FILE.json.")
        file = tree.root / files[0]
    found = read_labelstudio(tree.root, file, controls=request.columns)
    return tree.without(found, f"without an annotation in {shown(file.name)}")


SOURCE: Final = Source(name="labelstudio", looks_like=_looks_like, read=_read)
