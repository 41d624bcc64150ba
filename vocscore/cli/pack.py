"""`vocscore pack` and `vocscore verify`: a folder of pictures to shards, and are they whole."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from vocscore.cli import paths
from vocscore.cli.common import KnownError, interruptible, progress, quiet_option, same_command
from vocscore.cli.help import PanelCommand
from vocscore.cli.label_options import check_coco_files, read_labels, read_separator
from vocscore.cli.options import config_options, panel_option
from vocscore.cli.pack_text import refuse_nothing, show_classes, summarize
from vocscore.config.groups import build
from vocscore.config.packing import (
    ImagesConfig,
    LabelsConfig,
    PackConfig,
    ShardsConfig,
    SplitConfig,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from shards.sample import AnnotatedSet, Sample


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
    labels={"type": paths.old_file("labels")},
    label_separator={"callback": read_separator},
    coco={"callback": check_coco_files},
    classes={"type": paths.old_file("names of classes")},
)
@quiet_option
def pack(src: Path | None, out: Path, *, quiet: bool, **settings: Any) -> None:
    """Write images and their labels into WebDataset tar shards.

    SRC is a VOCdevkit, one of its years, any folder with JPEGImages/ and Annotations/ or with
    annotations beside their images, or, with --labels or --coco, any folder of images. The
    images' bytes are kept as they are. With --download, SRC is the folder to fetch PASCAL VOC
    into. The classes and their counts are printed before anything is written.

    Killed and started again, it goes on where it stopped and ends with the same bytes. What was
    left out, and why, stands in SHARDS/rejected.csv.

    \b
    vocscore pack VOCdevkit/VOC2012 -o shards/
    vocscore pack photos/ --labels photos.csv --train-fraction 0.8 -o shards/
    vocscore pack coco/ --coco train.json --coco val.json -o shards/
    vocscore pack --download 2007 -o shards/
    """
    from shards.packing.pack import pack as write_shards
    from vocscore.machine import usable_cores

    config = build(PackConfig, settings)
    started = time.monotonic()
    _refuse_file(out)
    source = _source(src, out, year=config.labels.download, quiet=quiet)
    with interruptible(f"Go on with: {same_command()}"), progress("pack", quiet=quiet) as shown:
        shown.stage("reading annotations")
        annotated = read_labels(source, config.labels)
        annotated, classes = _with_classes(annotated, config.labels, quiet=quiet)
        shown.stage("splitting")
        splits, rule = _split(annotated, classes, config.splits)
        if config.labels.label_separator is not None:
            rule["label_separator"] = config.labels.label_separator
        shown.stage("packing")
        report = write_shards(
            annotated,
            splits,
            out,
            classes=classes,
            shard_samples=config.output.shard_samples,
            verify=config.images.verify,
            max_bad=config.images.max_bad,
            max_pixels=config.images.max_pixels,
            resize=config.images.resize,
            quality=config.images.quality,
            workers=config.output.workers or usable_cores(),
            overwrite=config.output.overwrite,
            settings=rule,
            progress=shown,
        )
    if not quiet:
        unlisted = len(annotated.samples) - sum(map(len, splits.values()))
        seconds = time.monotonic() - started
        context = click.get_current_context()
        summarize(context, out, report, unlisted=unlisted, seconds=seconds)


def _refuse_file(out: Path) -> None:
    """Refuse a place for the shards that can be no folder, before the source is read."""
    there = next((path for path in (out, *out.parents) if path.exists()), None)
    if there is not None and not there.is_dir():
        raise KnownError(f"{there}: is a file, and the shards need a folder. Name another with -o.")


def _with_classes(
    annotated: AnnotatedSet, labels: LabelsConfig, *, quiet: bool
) -> tuple[AnnotatedSet, tuple[str, ...]]:
    """The set with one spelling for each class, and the classes; both are shown."""
    from shards.classes import choose_classes, read_classes
    from shards.vocabulary import question_names, unify_names

    given = read_classes(labels.classes) if labels.classes else None
    refuse_nothing(annotated, classes_known=given is not None or annotated.classes is not None)
    annotated = unify_names(
        annotated, renames=dict(labels.rename), merge_case=labels.merge_case, given=given
    )
    for note in annotated.notes:  # --quiet or not: something of the source was not taken as it is
        click.echo(f"note: {note}", err=True)
    classes = choose_classes(
        annotated.names(),
        given,
        annotated.classes,
        known=annotated.vocabulary,
        where=lambda name: f"{annotated.root}: {annotated.place(name)}",
    )
    for doubt in question_names(annotated, given):
        click.echo(f"warning: {doubt}", err=True)
    if not quiet:
        show_classes(annotated, classes)
    return annotated, classes


def _source(src: Path | None, out: Path, *, year: str | None, quiet: bool) -> Path:
    """The folder to pack: SRC, or the year that is fetched into it."""
    if year is None:
        if src is None:
            raise click.UsageError("Name the folder to pack (SRC), or --download a year of VOC.")
        if not src.is_dir():
            raise KnownError(f"SRC {src}: no such folder. SRC takes a folder of images to pack.")
        return src
    from vocscore.fetch import fetch_voc

    named = out if out.name not in ("", "..") else out.resolve()
    folder = src or named.with_name(f"{named.name}-download")
    say = partial(click.echo, err=True)
    with interruptible(f"Go on with: {same_command()}"):
        return fetch_voc(year, folder, say=(lambda _line: None) if quiet else say, quiet=quiet)


def _split(
    annotated: AnnotatedSet, classes: Sequence[str], config: SplitConfig
) -> tuple[Mapping[str, Sequence[Sample]], dict[str, str | int | float]]:
    """The samples of each split, and the rule as the manifest records it."""
    from shards.splitting.splits import split_by_lists, split_by_ratio

    if config.split == "voc" or (config.split == "auto" and annotated.splits):
        return split_by_lists(annotated), {"split": "voc"}
    fraction = config.train_fraction
    splits = split_by_ratio(annotated, classes=classes, train_fraction=fraction, seed=config.seed)
    return splits, {"split": "ratio", "train_fraction": fraction, "seed": config.seed}


@click.command(cls=PanelCommand)
@click.argument("shards", type=paths.SHARDS)
@click.option("--decode", is_flag=True, help="Decode every picture too.")
@quiet_option
def verify(shards: Path, *, decode: bool, quiet: bool) -> None:
    """Prove a packed set whole: hashes, indexes, counts, labels.

    Prints one line for each thing that is wrong and exits with 1; silence and 0 where nothing is.
    """
    from shards.verify import verify as find_problems
    from vocscore.machine import usable_cores

    with progress("verify", quiet=quiet) as shown:
        shown.stage("checking")
        problems = find_problems(shards, decode=decode, workers=usable_cores(), progress=shown)
    for problem in problems:
        click.echo(problem)
    if problems:
        raise click.exceptions.Exit(1)
    if not quiet:
        click.echo(f"{shards}: whole")
