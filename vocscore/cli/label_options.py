"""The options of `vocscore pack` that name the labels of a plain folder of images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from vocscore.cli import paths
from vocscore.cli.shown_commands import path_word

if TYPE_CHECKING:
    import click

    from shards.sample import AnnotatedSet
    from vocscore.config.packing import LabelsConfig

_COCO_FILE = paths.old_file("labels")
_ESCAPES = {"\\t": "\t", "\\n": "\n"}


def read_labels(src: Path, labels: LabelsConfig) -> AnnotatedSet:
    """Read a folder of images with the labels that the options name; VOC trees have their own."""
    from shards.sources.coco.read import read_coco
    from shards.sources.coco.splits import CocoFile
    from shards.sources.table.read import read_table
    from shards.sources.voc.read import read_voc

    if labels.labels:
        return read_table(src, labels.labels, label_separator=labels.label_separator)
    if labels.coco:
        files = [_split_and_file(value) for value in labels.coco]
        return read_coco(src, [CocoFile(Path(file), split) for split, file in files])
    return read_voc(src)


def check_coco_files(
    ctx: click.Context, param: click.Parameter, values: tuple[str, ...]
) -> tuple[str, ...]:
    """Refuse a FILE.json or SPLIT=FILE.json whose file is not there.

    Returns:
        The values, each as it can be typed again.

    Raises:
        KnownError: there is no such file, or it is a folder.
    """
    typed = []
    for value in values:
        split, name = _split_and_file(value)
        file = _COCO_FILE.convert(name, param, ctx)
        typed.append(value if split else path_word(file))
    return tuple(typed)


def _split_and_file(value: str) -> tuple[str | None, str]:
    """Take SPLIT=FILE.json apart; a file whose own name has '=' in it is a file."""
    from shards.manifest import is_split

    split, equals, name = value.partition("=")
    if not equals or Path(value).exists() or not is_split(split):
        return None, value
    return split, name


def read_separator(_ctx: click.Context, _param: click.Parameter, value: str | None) -> str | None:
    r"""Take '\t' and '\n' for a tab and a line end."""
    return _ESCAPES.get(value, value) if value is not None else None
