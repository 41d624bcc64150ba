"""The options of `vocscore pack` that name the labels of a plain folder of images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from vocscore.cli import paths
from vocscore.cli.common import KnownError
from vocscore.cli.shown_commands import path_word

if TYPE_CHECKING:
    from shards.sample import AnnotatedSet

_COCO_FILE = paths.old_file("labels")
_ESCAPES = {"\\t": "\t", "\\n": "\n"}


class CocoValue(NamedTuple):
    """One value of --coco; as a text, it is that value as it is typed.

    Attributes:
        split: its split, or None where that is told from the file's name.
        file: the file.
    """

    split: str | None
    file: Path

    def __str__(self) -> str:
        """The value as it is typed."""
        if self.split is None:
            return path_word(self.file)
        return f"{self.split}={self.file}"


class Labels(NamedTuple):
    """Where the labels come from; a VOC tree brings its own.

    Attributes:
        table: the value of --labels.
        coco: the values of --coco.
        separator: the value of --label-separator.
    """

    table: Path | None
    coco: tuple[CocoValue, ...]
    separator: str | None

    def check(self) -> None:
        """Refuse options that contradict each other."""
        if self.table and self.coco:
            raise KnownError("--labels and --coco: two sources of labels; give one of them.")
        if self.separator is not None and not self.table:
            raise KnownError("--label-separator is for the table of --labels; name the table.")

    def read(self, src: Path) -> AnnotatedSet:
        """Read the source that the options name."""
        from shards.sources.coco.read import read_coco
        from shards.sources.coco.splits import CocoFile
        from shards.sources.table.read import read_table
        from shards.sources.voc.read import read_voc

        if self.table:
            return read_table(src, self.table, label_separator=self.separator)
        if self.coco:
            return read_coco(src, [CocoFile(file, split) for split, file in self.coco])
        return read_voc(src)


def read_coco_files(
    ctx: click.Context, param: click.Parameter, values: tuple[str, ...]
) -> tuple[CocoValue, ...]:
    """Take each FILE.json or SPLIT=FILE.json apart.

    A file whose own name has '=' in it is a file.

    Raises:
        KnownError: there is no such file, or it is a folder.
    """
    return tuple(_coco_value(value, param, ctx) for value in values)


def _coco_value(value: str, param: click.Parameter, ctx: click.Context) -> CocoValue:
    from shards.manifest import is_split

    split, equals, name = value.partition("=")
    if not equals or Path(value).exists() or not is_split(split):
        split, name = "", value
    return CocoValue(split or None, _COCO_FILE.convert(name, param, ctx))


def read_separator(_ctx: click.Context, _param: click.Parameter, value: str | None) -> str | None:
    r"""Take '\t' and '\n' for a tab and a line end; nothing at all parts nothing."""
    if value == "":
        raise click.BadParameter("it is empty; give what stands between the names, such as '|'.")
    return _ESCAPES.get(value, value) if value is not None else None
