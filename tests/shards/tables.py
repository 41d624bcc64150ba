"""Tables about empty files, for the tests of this folder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shards.sources.table.read import read_table

if TYPE_CHECKING:
    from pathlib import Path

    from shards.sample import AnnotatedSet


def read(root: Path, table: str | bytes, *images: str, **options: Any) -> AnnotatedSet:
    """Read a table about some files; what is in them does not matter here."""
    for name in images:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    file = root / "labels.csv"
    file.write_bytes(table if isinstance(table, bytes) else table.encode())
    return read_table(root, file, **options)


def labels(found: AnnotatedSet) -> dict[str, tuple[str, ...]]:
    """The classes that are present, by path."""
    return {sample.path: sample.present for sample in found.samples}
