"""Reads the labels and the paths in Parquet files, but not their images."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from shards.errors import SourceError
from shards.files import open_binary
from shards.sources.hugging_face.features import class_names, features_of, inner, is_image
from shards.sources.hugging_face.rows import Rows

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_MAGIC = b"PAR1"
_POINTER = b"version https://git-lfs"


class ParquetRows(NamedTuple):
    """The contents of one file, except the images.

    Attributes:
        rows: the columns of labels and the like.
        image: the column of images, or None.
        paths: the path of each image, None where there is none; [] without a column of images.
        unread: columns of kinds that hold no labels.
        row_groups: number of rows of each row group.
    """

    rows: Rows
    image: str | None
    paths: Sequence[str | None]
    unread: Sequence[str]
    row_groups: Sequence[int]


def is_parquet_of_images(file: Path) -> bool:
    """Whether a file has a column of images; False if it cannot be read or pyarrow is missing."""
    try:
        with opened(file) as parquet:
            schema = parquet.schema_arrow
            _refuse_doubles(file, schema.names)
            return _image_column(file, schema, features_of(schema.metadata)) is not None
    except SourceError:
        return False


@contextmanager
def opened(file: Path) -> Iterator[Any]:
    """Open a Parquet file as `pyarrow.parquet.ParquetFile`.

    Raises:
        SourceError: pyarrow is not installed, or the file cannot be read; also for an error of
            pyarrow in the block.
    """
    try:
        import pyarrow as pa
        from pyarrow.parquet import ParquetFile
    except ImportError as error:
        raise SourceError(
            f"{file}: Parquet is read by pyarrow. Run: pip install 'vocscore[parquet]'"
        ) from error
    try:
        with open_binary(file) as stream:
            _refuse_other(file, stream.read(len(_POINTER)))
        with ParquetFile(file, memory_map=False, pre_buffer=False, buffer_size=1 << 20) as parquet:
            yield parquet
    except (OSError, pa.ArrowException, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or str(error).partition("\n")[0].rstrip(".")
        raise SourceError(f"{file}: cannot be read as Parquet: {why}. Export it again.") from error


def _refuse_other(file: Path, head: bytes) -> None:
    if head.startswith(_POINTER):
        raise SourceError(f"{file}: only a pointer of Git LFS. Download the file: git lfs pull.")
    if not head.startswith(_MAGIC):
        raise SourceError(f"{file}: not a Parquet file. Download or export it again.")


def read_parquet(file: Path) -> ParquetRows:
    """Read the columns of a file that may hold labels, and the paths of its images.

    Raises:
        SourceError: as for `opened`.
    """
    with opened(file) as parquet:
        schema = parquet.schema_arrow
        _refuse_doubles(file, schema.names)
        features = features_of(schema.metadata)
        image = _image_column(file, schema, features)
        wanted = {
            f.name: f
            for f in schema
            if f.name != image and _may_be_label(f.type, features.get(f.name))
        }
        has_path = image is not None and _has_field(schema.field(image).type, "path")
        leaves = [*wanted, *([f"{image}.path"] if has_path else [])]
        table = parquet.read(columns=leaves, use_threads=False)
        count = parquet.metadata.num_rows
        groups = [parquet.metadata.row_group(g).num_rows for g in range(parquet.num_row_groups)]
        columns: dict[str, Sequence[Any]] = {}
        names: dict[str, tuple[str, ...]] = {}
        for name in wanted:
            values = table.column(name).to_pylist()
            for column, found, labels in _unfolded(name, values, features.get(name)):
                columns[column] = found
                if labels is not None:
                    names[column] = labels
        paths: list[str | None] = [None] * count if image is not None else []
        if has_path:
            paths = [one and one["path"] for one in table.column(image).to_pylist()]
    where = [f"row {row}" for row in range(count)]
    unread = [f.name for f in schema if f.name not in wanted and f.name != image]
    return ParquetRows(Rows(file, columns, where, names), image, paths, unread, groups)


def _refuse_doubles(file: Path, names: Sequence[str]) -> None:
    double = next((name for name in names if names.count(name) > 1), None)
    if double is not None:
        raise SourceError(f"{file}: two columns {double!r}. Rename or remove one.")


def _image_column(file: Path, schema: Any, features: Any) -> str | None:
    """The column that is an image by its feature, or else has the fields 'bytes' and 'path'."""
    names = [f.name for f in schema if is_image(features.get(f.name))]
    names = names or [
        f.name for f in schema if _has_field(f.type, "bytes") and _has_field(f.type, "path")
    ]
    usable = [name for name in names if _has_field(schema.field(name).type, "bytes")]
    if len(usable) > 1:
        raise SourceError(
            f"{file}: several columns of images: {', '.join(usable)}. Keep one of them."
        )
    return usable[0] if usable else None


def _has_field(kind: Any, name: str) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_struct(kind)) and kind.get_field_index(name) >= 0


def _may_be_label(kind: Any, feature: object) -> bool:
    """Whether a column of this type may hold labels."""
    from pyarrow import types

    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        kind = kind.value_type
    if any(class_names(one) for one in inner(feature).values()):
        return True
    plain = (
        types.is_string,
        types.is_large_string,
        types.is_boolean,
        types.is_integer,
        types.is_null,
    )
    return any(test(kind) for test in plain) or bool(types.is_dictionary(kind))


def _unfolded(
    name: str, values: list[Any], feature: object
) -> Iterator[tuple[str, list[Any], tuple[str, ...] | None]]:
    """A column as it is; or, of a struct, its fields with class names, as 'objects.category'."""
    fields = {field: found for field, one in inner(feature).items() if (found := class_names(one))}
    if not fields:
        yield name, values, class_names(feature)
    for field, labels in fields.items():
        yield f"{name}.{field}", [_field(value, field) for value in values], labels


def _field(value: Any, field: str) -> Any:
    """A field of a struct, or of each of a list of structs."""
    if isinstance(value, list):
        return [one[field] for one in value if one is not None]
    return None if value is None else value[field]
