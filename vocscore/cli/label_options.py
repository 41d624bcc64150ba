"""The options of `vocscore pack` that name the labels of a plain folder of images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from vocscore.cli.common import KnownError

if TYPE_CHECKING:
    from shards.sample import AnnotatedSet

_ESCAPES = {"\\t": "\t", "\\n": "\n"}


class Labels(NamedTuple):
    """Where the labels come from; a VOC tree brings its own.

    Attributes:
        table: the value of --labels.
        coco: the values of --coco: a split, or None, and the file.
        separator: the value of --label-separator.
    """

    table: Path | None
    coco: tuple[tuple[str | None, Path], ...]
    separator: str | None

    def check(self) -> None:
        """Refuse options that contradict each other."""
        if self.table and self.coco:
            raise KnownError("--labels and --coco: two sources of labels; give one of them.")
        if self.separator is not None and not self.table:
            raise KnownError("--label-separator is for the table of --labels; name the table.")

    def read(self, src: Path) -> AnnotatedSet:
        """Read the source that the options name."""
        from shards.sources.coco import read_coco
        from shards.sources.coco_splits import CocoFile
        from shards.sources.table import read_table
        from shards.sources.voc import read_voc

        if self.table:
            return read_table(src, self.table, label_separator=self.separator)
        if self.coco:
            return read_coco(src, [CocoFile(file, split) for split, file in self.coco])
        return read_voc(src)


def read_coco_files(
    _ctx: click.Context, _param: click.Parameter, values: tuple[str, ...]
) -> tuple[tuple[str | None, Path], ...]:
    """Take each FILE.json or SPLIT=FILE.json apart: a split, or None, and the file.

    A file whose own name has '=' in it is a file.
    """
    return tuple(map(_coco_file, values))


def _coco_file(value: str) -> tuple[str | None, Path]:
    from shards.manifest import is_split

    split, equals, name = value.partition("=")
    if not equals or Path(value).exists() or not is_split(split):
        split, name = "", value
    file = Path(name)
    if file.is_dir():
        raise click.BadParameter(f"'{file}' is a folder, not a file.")
    if not file.exists():
        raise click.BadParameter(f"File '{file}' does not exist.")
    return split or None, file


def read_separator(_ctx: click.Context, _param: click.Parameter, value: str | None) -> str | None:
    r"""Take '\t' and '\n' for a tab and a line end; nothing at all parts nothing."""
    if value == "":
        raise click.BadParameter("it is empty; give what stands between the names, such as '|'.")
    return _ESCAPES.get(value, value) if value is not None else None
