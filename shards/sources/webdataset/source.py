"""WebDataset tars as a source."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from shards.file_kinds import is_tar
from shards.sources.source import Request, Source, Tree
from shards.sources.webdataset.read import read_webdataset
from shards.sources.webdataset.tars import CLASS_NAMES
from shards.sources.words import counted

if TYPE_CHECKING:
    from shards.sample import AnnotatedSet


def _looks_like(tree: Tree) -> str | None:
    """Tars, and no images beside them: an archive of images often stays where it was unpacked."""
    tars = [name for name in tree.others if is_tar(name.rpartition("/")[2])]
    if not tars or (tree.images and not tree.named(CLASS_NAMES)):
        return None
    return counted(len(tars), "tar")


def _read(tree: Tree, request: Request) -> AnnotatedSet:
    found = read_webdataset(tree.root, tree.all_files(), columns=request.columns)
    return tree.without(found, "not in a tar")


SOURCE: Final = Source(name="webdataset", looks_like=_looks_like, read=_read)
