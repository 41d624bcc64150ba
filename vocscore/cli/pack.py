"""`vocscore pack` and `vocscore verify`: a folder of images to shards, and are they whole."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from vocscore.cli import paths
from vocscore.cli.common import KnownError, interruptible, progress, quiet_option, same_command
from vocscore.cli.label_options import Labels, read_coco_files, read_separator
from vocscore.cli.numbers import FiniteRange
from vocscore.cli.pack_text import refuse_nothing, show_classes, summarize
from vocscore.config import PackConfig

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from shards.sample import AnnotatedSet, Sample
    from vocscore.cli.label_options import CocoValue


@click.command()
@click.argument("src", required=False, type=paths.SOURCE)
@click.option(
    "-o",
    "--output",
    "out",
    required=True,
    metavar="SHARDS",
    type=paths.new_folder("the shards"),
    help="Folder for the shards.",
)
@click.option(
    "--download",
    "year",
    type=click.Choice(["2007", "2012"]),
    help="Fetch PASCAL VOC of this year from its own site (0.9 and 2 GB), check it, unpack it into "
    "SRC, and pack it; what is there already is used again.  [default of SRC: SHARDS-download]",
)
@click.option(
    "--labels",
    "table",
    metavar="FILE.csv",
    type=paths.old_file("labels"),
    help="Labels of a plain folder of images: a column 'path' and either a column 'labels' with "
    "';' between the names (or one row per label), or one 0/1 column per class. Other usual names "
    "of columns, delimiters and encodings are known; docs/packing.md lists them.",
)
@click.option(
    "--label-separator",
    callback=read_separator,
    metavar="TEXT",
    help="What separates the class names in a cell of --labels, such as '|' or ' '. With ';', a "
    "cell without ';' is one name.  [default: ';', and ',' or '|' where the cells prove it]",
)
@click.option(
    "--coco",
    multiple=True,
    metavar="[SPLIT=]FILE.json",
    callback=read_coco_files,
    help="Labels of a plain folder of images, as COCO instances. Given several times, each file is "
    "a split, named by SPLIT=, its own name (instances_train2017.json) or its folder "
    "(valid/_annotations.coco.json).",
)
@click.option(
    "--classes",
    "classes_file",
    metavar="FILE",
    type=paths.old_file("names of classes"),
    help="One class a line, in column order.  [default: those of the table's columns or of COCO's "
    "categories; VOC's 20 where a VOC tree has no others; else those found, sorted]",
)
@click.option(
    "--merge-case",
    is_flag=True,
    help="Make class names one that differ only in case ('person', 'Person'): the spelling in the "
    "file of --classes, else the one that most images have. Without it, such names are an error.",
)
@click.option(
    "--rename",
    nargs=2,
    multiple=True,
    metavar="OLD NEW",
    help="Call a class something else; two classes become one if NEW is there already. May be "
    "repeated.",
)
@click.option(
    "--split",
    type=click.Choice(["auto", "voc", "ratio"]),
    default=PackConfig.split,
    show_default=True,
    help="voc: the set's own splits (the lists in ImageSets/Main, folders train/, valid/, test/, a "
    "table's column 'split', several files of --coco). ratio: by --train-fraction, every class on "
    "both sides. auto: voc where there are own splits.",
)
@click.option(
    "--train-fraction",
    type=FiniteRange(0, 1),
    default=PackConfig.train_fraction,
    show_default=True,
    help="Share of the images to train on, with --split ratio.",
)
@click.option("--seed", type=int, default=PackConfig.seed, show_default=True, help="Of the split.")
@click.option(
    "--shard-samples",
    type=click.IntRange(min=1),
    default=PackConfig.shard_samples,
    show_default=True,
    metavar="IMAGES",
    help="Images a shard.",
)
@click.option(
    "--verify/--no-verify",
    default=PackConfig.verify,
    show_default=True,
    help="Decode every image once, strictly, and leave the bad ones out.",
)
@click.option(
    "--max-bad",
    type=FiniteRange(0, 1),
    default=PackConfig.max_bad,
    show_default=True,
    metavar="FRACTION",
    help="More rejected images than this is an error.",
)
@click.option(
    "--max-pixels",
    type=click.IntRange(min=1),
    default=PackConfig.max_pixels,
    show_default=True,
    metavar="PIXELS",
    help="An image with more (width times height) is rejected before it is decoded.",
)
@click.option(
    "--resize",
    type=click.IntRange(min=1),
    default=PackConfig.resize,
    metavar="PIXELS",
    help="Re-encode to a square of this height and width, upright, as --size of train would: a "
    "third of the bytes, a quarter of the decoding. Costs a second JPEG compression (mean 1.8 gray "
    "levels at 256), so score what you train on alike.  [default: keep the original bytes]",
)
@click.option(
    "--quality",
    type=click.IntRange(1, 100),
    default=PackConfig.quality,
    show_default=True,
    help="JPEG quality of --resize.",
)
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    metavar="THREADS",
    help="Threads that read and check; the bytes written do not depend on it.  [default: one a "
    "usable core]",
)
@click.option("--overwrite", is_flag=True, help="Replace a set that is already in SHARDS.")
@quiet_option
def pack(
    src: Path | None,
    out: Path,
    *,
    year: str | None,
    table: Path | None,
    coco: tuple[CocoValue, ...],
    classes_file: Path | None,
    workers: int | None,
    overwrite: bool,
    quiet: bool,
    **settings: Any,
) -> None:
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

    config = PackConfig(**settings)
    started = time.monotonic()
    _refuse_file(out)
    labels = Labels(table, coco, config.label_separator)
    labels.check()
    source = _source(src, out, year=year, labeled=bool(table or coco), quiet=quiet)
    with interruptible(f"Go on with: {same_command()}"), progress("pack", quiet=quiet) as shown:
        shown.stage("reading annotations")
        annotated = labels.read(source)
        annotated, classes = _with_classes(annotated, classes_file, config, quiet=quiet)
        shown.stage("splitting")
        splits, rule = _split(annotated, classes, config)
        if config.label_separator is not None:
            rule["label_separator"] = config.label_separator
        shown.stage("packing")
        report = write_shards(
            annotated,
            splits,
            out,
            classes=classes,
            shard_samples=config.shard_samples,
            verify=config.verify,
            max_bad=config.max_bad,
            max_pixels=config.max_pixels,
            resize=config.resize,
            quality=config.quality,
            workers=workers or usable_cores(),
            overwrite=overwrite,
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
    annotated: AnnotatedSet, classes_file: Path | None, config: PackConfig, *, quiet: bool
) -> tuple[AnnotatedSet, tuple[str, ...]]:
    """The set with one spelling for each class, and the classes; both are shown."""
    from shards.classes import choose_classes, read_classes
    from shards.vocabulary import question_names, unify_names

    given = read_classes(classes_file) if classes_file else None
    refuse_nothing(annotated, classes_known=given is not None or annotated.classes is not None)
    annotated = unify_names(
        annotated, renames=dict(config.rename), merge_case=config.merge_case, given=given
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


def _source(src: Path | None, out: Path, *, year: str | None, labeled: bool, quiet: bool) -> Path:
    """The folder to pack: SRC, or the year that is fetched into it."""
    if year is None:
        if src is None:
            raise click.UsageError("Name the folder to pack (SRC), or --download a year of VOC.")
        if not src.is_dir():
            raise KnownError(f"SRC {src}: no such folder. SRC takes a folder of images to pack.")
        return src
    if labeled:
        raise click.UsageError("--download brings its own labels: leave --labels and --coco away.")
    from vocscore.fetch import fetch_voc

    named = out if out.name not in ("", "..") else out.resolve()
    folder = src or named.with_name(f"{named.name}-download")
    say = partial(click.echo, err=True)
    with interruptible(f"Go on with: {same_command()}"):
        return fetch_voc(year, folder, say=(lambda _line: None) if quiet else say, quiet=quiet)


def _split(
    annotated: AnnotatedSet, classes: Sequence[str], config: PackConfig
) -> tuple[Mapping[str, Sequence[Sample]], dict[str, str | int | float]]:
    """The samples of each split, and the rule as the manifest records it."""
    from shards.splitting.splits import split_by_lists, split_by_ratio

    if config.split == "voc" or (config.split == "auto" and annotated.splits):
        return split_by_lists(annotated), {"split": "voc"}
    fraction = config.train_fraction
    splits = split_by_ratio(annotated, classes=classes, train_fraction=fraction, seed=config.seed)
    return splits, {"split": "ratio", "train_fraction": fraction, "seed": config.seed}


@click.command()
@click.argument("shards", type=paths.SHARDS)
@click.option("--decode", is_flag=True, help="Decode every image too.")
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
