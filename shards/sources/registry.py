"""All sources of labels, and which of them a folder is.

A new source: a package with `source.py`, whose `SOURCE` is listed here and in `names.NAMES`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from shards.errors import SourceError
from shards.sources.class_folders.source import SOURCE as FOLDERS
from shards.sources.coco.source import SOURCE as COCO
from shards.sources.cvat.source import SOURCE as CVAT
from shards.sources.google_csv.source import SOURCE as GOOGLE
from shards.sources.hugging_face.source import SOURCE as HUGGING_FACE
from shards.sources.labelstudio.source import SOURCE as LABELSTUDIO
from shards.sources.names import NAMES, WITH_COLUMN, WITH_SEPARATOR
from shards.sources.roboflow_csv.source import SOURCE as ROBOFLOW
from shards.sources.source import Request, Source, Tree
from shards.sources.table.source import SOURCE as TABLE
from shards.sources.voc.source import SOURCE as VOC
from shards.sources.webdataset.source import SOURCE as WEBDATASET
from shards.sources.yolo.source import SOURCE as YOLO

if TYPE_CHECKING:
    from pathlib import Path

    from shards.sample import AnnotatedSet

_ALL: Final = (
    *(VOC, COCO, TABLE, FOLDERS, HUGGING_FACE, GOOGLE, ROBOFLOW),
    *(YOLO, LABELSTUDIO, CVAT, WEBDATASET),
)
SOURCES: Final = {one.name: one for one in sorted(_ALL, key=lambda one: NAMES.index(one.name))}
"""Name -> source, in the order of `NAMES`."""


def read_source(root: Path, request: Request, *, name: str | None = None) -> AnnotatedSet:
    """Read the labels of a folder from the source that it is.

    Args:
        root: the folder.
        request: what the user says about the labels.
        name: the source, if the user names it; None recognizes it.

    Returns:
        The set; `layout` says which source it was read as, and why.

    Raises:
        SourceError: several sources look right, an option is not for the source, or it cannot be
            read.
    """
    tree = Tree(root)
    source, why = choose(tree, request, name=name)
    for option, given, takers in (
        ("`label_column`", request.columns, WITH_COLUMN),
        ("`label_separator`", request.separator, WITH_SEPARATOR),
    ):
        if given and source.name not in takers:
            raise SourceError(
                f"{root}: {option} is for {', '.join(takers)}, but this is {source.name} ({why}). "
                "Omit it, or name the source with `from_`."
            )
    return replace(source.read(tree, request), layout=f"{source.name} ({why})")


def choose(tree: Tree, request: Request, *, name: str | None = None) -> tuple[Source, str]:
    """Recognize the source of a folder's labels.

    Returns:
        The source, and why it was taken.

    Raises:
        SourceError: several look right; names them and the option that decides. Or the only
            folder in this one does.
    """
    if name is not None:
        return SOURCES[name], "as given with `from_`"
    if request.coco:
        return COCO, "`coco`"
    if request.labels is not None:
        return _of_file(request.labels), f"`labels={str(request.labels)!r}`"
    found = _that_look_right(tree)
    if len(found) > 1:
        told = "; ".join(f"{source.name} ({why})" for source, why in found)
        names = " or ".join(f"`from_={source.name!r}`" for source, _ in found)
        raise SourceError(f"{tree.root}: looks like several sources: {told}. Choose one: {names}.")
    if not found:
        _refuse_deeper(tree)
        return VOC, "no other source looks right"  # its reader says what the folder lacks
    return found[0]


def _of_file(file: Path) -> Source:
    """The source of a file of labels, by its name; a JSON list is Label Studio's."""
    suffix = file.suffix.lower()
    if suffix == ".json" and Tree(file.parent).head(file.name, 100).lstrip().startswith(b"["):
        return LABELSTUDIO
    return {".yaml": YOLO, ".yml": YOLO, ".xml": CVAT}.get(suffix, TABLE)


def _refuse_deeper(tree: Tree) -> None:
    """Say so if the only folder is a set, as archives often contain one folder.

    Raises:
        SourceError: it is; VOC's own reader looks deeper itself.
    """
    folders = {name.partition("/")[0] for name in tree.files if "/" in name}
    if len(folders) != 1:
        return
    inner = Tree(tree.root / folders.pop())
    found = [
        (source, why) for source, why in _that_look_right(inner) if source not in (VOC, COCO, TABLE)
    ]
    if found:
        told = "; ".join(f"{source.name} ({why})" for source, why in found)
        raise SourceError(f"{tree.root}: the set is one folder deeper: {told}. Give {inner.root}.")


def _that_look_right(tree: Tree) -> list[tuple[Source, str]]:
    """The sources that a folder looks like: the weak ones only if there is no other."""
    for weak in (False, True):
        looked = [(s, s.looks_like(tree)) for s in SOURCES.values() if s.weak == weak]
        if found := [(source, why) for source, why in looked if why is not None]:
            return found
    return []
