"""COCO files as a source: named by the user, or those in the folder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from shards.errors import SourceError
from shards.paths import first_names
from shards.sources.coco.read import read_coco
from shards.sources.coco.splits import CocoFile
from shards.sources.source import Request, Source, Tree

if TYPE_CHECKING:
    from shards.sample import AnnotatedSet

_MANY: Final = 100
"""JSON files above which each is about one image, so that none is COCO's."""
_NAMES: Final = ("instances_", "_annotations.coco.json")
_BEGIN: Final = (b'"images"', b'"annotations"', b'"categories"')


def _files(tree: Tree) -> list[str]:
    """The files that are COCO's instances, by their names or by the keys they begin with."""
    names = tree.ending(".json")
    # Beside instances_train2017.json stand captions and keypoints, which have the same keys.
    named = [name for name in names if name.rpartition("/")[2].lower().startswith(_NAMES)]
    if named or len(names) > _MANY:
        return named
    return [name for name in names if _is_instances(tree, name)]


def _is_instances(tree: Tree, name: str) -> bool:
    head = tree.head(name)
    return head.lstrip().startswith(b"{") and sum(key in head for key in _BEGIN) > 1


def _looks_like(tree: Tree) -> str | None:
    files = _files(tree)
    return first_names(files) if files and tree.images else None


def _read(tree: Tree, request: Request) -> AnnotatedSet:
    files = [CocoFile(*one) for one in request.coco]
    if not files:
        tree.all_files()  # or a split in a folder that cannot be listed would be left out
        files = [CocoFile(tree.root / name) for name in _files(tree)]
    if not files:
        raise SourceError(f"{tree.root}: no COCO file in it. Name it: `coco=['FILE.json']`.")
    return read_coco(tree.root, files)


SOURCE: Final = Source(name="coco", looks_like=_looks_like, read=_read, weak=True)
