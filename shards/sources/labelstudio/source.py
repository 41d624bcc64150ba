"""Exports of Label Studio as a source: a JSON file, named by the user or in the folder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from shards.paths import first_names, shown
from shards.sources.labelstudio.read import read_labelstudio
from shards.sources.source import Request, Source, Tree

if TYPE_CHECKING:
    from shards.sample import AnnotatedSet

_TASK: Final = (b'"annotations"', b'"completions"')
_MINIMAL: Final = (b'"annotator"', b'"annotation_id"', b'"lead_time"')


def _files(tree: Tree) -> list[str]:
    """The files directly in the folder that begin as an export."""
    return [name for name in tree.at_top(".json") if _is_export(tree.head(name))]


def _is_export(head: bytes) -> bool:
    if not head.lstrip(b"\xef\xbb\xbf \r\n\t").startswith(b"["):
        return False
    is_full = b'"data"' in head and any(key in head for key in _TASK)
    return is_full or all(key in head for key in _MINIMAL)


def _looks_like(tree: Tree) -> str | None:
    files = _files(tree)
    return first_names(files) if files and tree.images else None


def _read(tree: Tree, request: Request) -> AnnotatedSet:
    file = request.labels or tree.only(
        _files(tree) or tree.at_top(".json"),
        several="exports",
        none="export as JSON",
        suffix=".json",
    )
    found = read_labelstudio(tree.root, file, controls=request.columns)
    return tree.without(found, f"without an annotation in {shown(file.name)}")


SOURCE: Final = Source(name="labelstudio", looks_like=_looks_like, read=_read)
