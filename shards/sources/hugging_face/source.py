"""Hugging Face sets as a source."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from shards.errors import SourceError
from shards.paths import first_names
from shards.sources.hugging_face.images_inside import read_images_inside
from shards.sources.hugging_face.metadata import NAMES, read_metadata
from shards.sources.hugging_face.parquet import is_parquet_of_images
from shards.sources.source import Request, Source, Tree

if TYPE_CHECKING:
    from shards.sample import AnnotatedSet

_SUFFIX: Final = ".parquet"


def _data(tree: Tree) -> list[str]:
    """The Parquet files that are not metadata."""
    metadata = set(tree.named(*NAMES))
    return [name for name in tree.ending(_SUFFIX) if name not in metadata]


def _looks_like(tree: Tree) -> str | None:
    if metadata := tree.named(*NAMES):
        return first_names(metadata) if _names_files(tree, metadata[0]) else None
    data = _data(tree)
    if data and (not tree.images or is_parquet_of_images(tree.root / data[0])):
        return f"Parquet: {first_names(data)}"
    return None


def _names_files(tree: Tree, name: str) -> bool:
    """Whether metadata has 'file_name', as far as its beginning shows."""
    text = tree.head(name).replace(b"\0", b"")  # of UTF-16
    return name.lower().endswith(_SUFFIX) or b"file_name" in text


def _read(tree: Tree, request: Request) -> AnnotatedSet:
    if request.labels is not None:
        return read_metadata(tree, [request.labels], request)
    tree.all_files()  # or a split in a folder that cannot be listed would be left out
    metadata, data = tree.named(*NAMES), _data(tree)
    if len({name.lower().rpartition(".")[2] for name in metadata}) > 1:
        raise SourceError(
            f"{tree.root}: metadata in several formats: {first_names(metadata)}. Keep one, or name "
            "it: `labels=FILE`."
        )
    if metadata:
        return read_metadata(tree, [tree.root / name for name in metadata], request)
    if data:
        return tree.without(read_images_inside(tree, data, request), "not in a Parquet file")
    raise SourceError(
        f"{tree.root}: no metadata.csv, metadata.jsonl or metadata.parquet, and no Parquet files "
        "with images in it. Give a folder that has them."
    )


SOURCE: Final = Source(name="hf", looks_like=_looks_like, read=_read)
