"""`vocscore pack`: writes a folder of images as shards."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from vocscore.cli import paths
from vocscore.cli.common import interruptible, progress, quiet_option, same_command
from vocscore.cli.help import PanelCommand
from vocscore.cli.options import config_options, panel_option
from vocscore.cli.pack_text import show_classes, summarize
from vocscore.cli.shown_commands import path_word
from vocscore.config.groups import build
from vocscore.config.pack_workers import PackWorkersConfig
from vocscore.config.packing import (
    ImagesConfig,
    LabelsConfig,
    PackConfig,
    ShardsConfig,
    SplitConfig,
)
from vocscore.packing import split_and_file

if TYPE_CHECKING:
    from pathlib import Path


_COCO_FILE = paths.old_file("labels")
_ESCAPES = {"\\t": "\t", "\\n": "\n"}


def _check_coco_files(
    ctx: click.Context, param: click.Parameter, values: tuple[str, ...]
) -> tuple[str, ...]:
    """Check that the file of each FILE.json or SPLIT=FILE.json exists.

    Returns:
        The values, as words that can be typed again.

    Raises:
        KnownError: there is no such file, or it is a folder.
    """
    typed = []
    for value in values:
        split, name = split_and_file(value)
        file = _COCO_FILE.convert(name, param, ctx)
        typed.append(value if split else path_word(file))
    return tuple(typed)


def _read_separator(_ctx: click.Context, _param: click.Parameter, value: str | None) -> str | None:
    r"""Replace '\t' and '\n' by a tab and a line end."""
    return _ESCAPES.get(value, value) if value is not None else None


@click.command(cls=PanelCommand)
@click.argument("src", required=False, type=paths.SOURCE)
@panel_option(
    "-o",
    "--output",
    "out",
    panel=ShardsConfig.title,
    required=True,
    metavar="SHARDS",
    type=paths.new_folder("the shards"),
    help="Folder for the shards.",
)
@config_options(
    ShardsConfig,
    LabelsConfig,
    SplitConfig,
    ImagesConfig,
    PackWorkersConfig,
    labels={"type": paths.old_file("labels")},
    label_separator={"callback": _read_separator},
    coco={"callback": _check_coco_files},
    classes={"type": paths.old_file("names of classes")},
    corrections={"type": paths.old_file("corrections of labels")},
)
@quiet_option
def pack(src: Path | None, out: Path, *, quiet: bool, **settings: Any) -> None:
    """Write images and their labels into WebDataset tar shards.

    SRC is a VOCdevkit, one of its years, any folder with JPEGImages/ and Annotations/ or with
    annotations beside their images; a folder per class; any other set that --from lists; or, with
    --labels or --coco, any folder of images. The images' bytes are not changed. With --download,
    SRC is the folder for the download of PASCAL VOC. What was understood is printed before
    anything is written: the source, the classes with their counts, and the set's own splits.

    If the run is killed, rerun the same command: it resumes and writes the same bytes.
    SHARDS/rejected.csv lists the images that were left out, with reasons.

    \b
    Examples:
      vocscore pack VOCdevkit/VOC2012 -o shards/
      vocscore pack photos/ --labels photos.csv --train-fraction 0.8 -o shards/
      vocscore pack pets/ --from folders -o shards/
      vocscore pack coco/ --coco train.json --coco val.json -o shards/
      vocscore pack --download 2007 -o shards/
    """
    from vocscore.packing import pack as write_shards

    config = build(PackConfig, settings)
    if src is None and config.labels.download is None:
        raise click.UsageError("Name the folder to pack (SRC), or --download a year of VOC.")
    started = time.monotonic()
    say = partial(click.echo, err=True)
    with interruptible(f"Resume with: {same_command()}"), progress("pack", quiet=quiet) as shown:
        packed = write_shards(
            src,
            out,
            config,
            on_stage=shown.stage,
            on_images=shown,
            on_classes=None if quiet else show_classes,
            on_warning=say,  # also with --quiet: something in the source was changed or left out
            on_download=None if quiet else say,
        )
    if not quiet:
        seconds = time.monotonic() - started
        summarize(click.get_current_context(), out, packed, seconds=seconds)
