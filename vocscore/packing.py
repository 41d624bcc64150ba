"""Packs a folder of images with labels, or a year of PASCAL VOC, into shards."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from shards.errors import SourceError
from shards.packing.rejected import rejection_reasons
from shards.paths import first_names, shown
from vocscore.config.packing import ImagesConfig, LabelsConfig, PackConfig, SplitConfig
from vocscore.errors import OptionError
from vocscore.machine import bound_images, usable_cores
from vocscore.printed import Printed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from shards.corrections import Applied
    from shards.manifest import Manifest
    from shards.raw_images import RawMaker
    from shards.sample import AnnotatedSet, Rejection, Sample


@dataclass(frozen=True)
class PackReport(Printed):
    """The result of packing.

    Attributes:
        manifest: the dataset: its classes, its splits with their shards, and the settings.
        rejected: the images left out, with the reasons; empty if `unchanged`.
        unchanged: the same dataset already existed, and nothing was written.
        unlisted: number of images of the source that are in no split.
        corrected: number of labels that corrections have changed.
        dropped: number of images that corrections leave out.
    """

    manifest: Manifest
    rejected: tuple[Rejection, ...]
    unchanged: bool
    unlisted: int
    corrected: int = 0
    dropped: int = 0

    @property
    def images(self) -> int:
        """Packed images, in all splits."""
        return sum(split.samples for split in self.manifest.splits.values())

    def __str__(self) -> str:
        """Summarize images per split, classes, and what was left out."""
        splits = ", ".join(f"{name} {s.samples}" for name, s in self.manifest.splits.items())
        reasons = rejection_reasons(self.rejected)
        return (
            f"{self.images} images of {len(self.manifest.classes)} classes ({splits})"
            + (f"; rejected: {reasons}" if reasons else "")
            + (f"; in no split: {self.unlisted}" if self.unlisted else "")
            + (f"; labels corrected: {self.corrected}" if self.corrected else "")
            + (f"; left out by corrections: {self.dropped}" if self.dropped else "")
        )


def pack(
    source: Path | None,
    out: Path,
    config: PackConfig | None = None,
    *,
    on_stage: Callable[[str], None] | None = None,
    on_images: Callable[[int, int, int], None] | None = None,
    on_classes: Callable[[AnnotatedSet, tuple[str, ...]], None] | None = None,
    on_warning: Callable[[str], None] | None = None,
    on_download: Callable[[str], None] | None = None,
) -> PackReport:
    """Write images and their labels into WebDataset tar shards.

    If interrupted, the same call resumes and gives the same bytes.

    Args:
        source: a folder of images; with a download, the download folder (None: beside `out`).
        out: folder for the shards.
        config: the options.
        on_stage: called with the name of each stage as it starts.
        on_images: called with the number of images packed so far, the total, and the number
            rejected so far.
        on_classes: called with the dataset and its classes before anything is written.
        on_warning: called with a line for each part of the source that was changed or left out.
        on_download: called with a line before each file is downloaded or unpacked; None: no
            progress of a download is shown either.

    Raises:
        OptionError: there is no source, or no class.
        FetchError: a year of VOC cannot be downloaded.
        SourceError, LabelError: the source or its labels cannot be read.
        PackError: the shards cannot be written, or too many images are bad.
    """
    from shards.packing.pack import pack as write_shards
    from vocscore.packing_workers import pool_of

    config = config or PackConfig()
    stage = on_stage or (lambda _name: None)
    warn = on_warning or (lambda _line: None)
    _refuse_file(out)
    folder = _source(source, out, year=config.labels.download, say=on_download)
    if config.processes.on is not None:
        folder = folder.absolute()  # workers have other working folders
    stage("reading annotations")
    annotated = _read(folder, config.labels)
    annotated, classes = _with_classes(annotated, config.labels, warn=warn)
    if on_classes is not None:
        on_classes(annotated, classes)
    stage("splitting")
    splits, rule = _split(annotated, classes, config.splits)
    if config.labels.label_separator is not None:
        rule["label_separator"] = config.labels.label_separator
    unlisted = len(annotated.samples) - sum(map(len, splits.values()))
    applied = _correct(splits, classes, config.labels.corrections, rule, warn=warn)
    bound_images(config.output.image_memory)
    stage("packing")
    written = write_shards(
        annotated,
        applied.splits,
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
        raw=_raw_maker(config.images),
        progress=on_images,
        stage=stage,
        pool=pool_of(config, stage=stage, warn=warn),
    )
    return PackReport(
        written.manifest,
        written.rejected,
        written.unchanged,
        unlisted,
        corrected=applied.labels,
        dropped=applied.dropped,
    )


def _raw_maker(images: ImagesConfig) -> RawMaker | None:
    if not images.raw or images.resize is None:
        return None
    from vocscore.pipeline import raw_maker

    return raw_maker.raw_maker(images, size=images.resize)


def split_and_file(value: str) -> tuple[str | None, Path]:
    """Split SPLIT=FILE.json; an existing file whose own name contains '=' is a file."""
    from shards.manifest import is_split

    split, equals, name = value.partition("=")
    if not equals or Path(value).exists() or not is_split(split):
        return None, Path(value)
    return split, Path(name)


def _refuse_file(out: Path) -> None:
    """Refuse an output that cannot be a folder, before the source is read."""
    there = next((path for path in (out, *out.parents) if path.exists()), None)
    if there is not None and not there.is_dir():
        raise OptionError(
            f"{there}: is a file, but the shards need a folder. Name another with `output`."
        )


def _source(
    source: Path | None, out: Path, *, year: str | None, say: Callable[[str], None] | None
) -> Path:
    """The folder to pack: the source, or the year that is downloaded into it."""
    if year is not None:
        from vocscore.fetch import fetch_voc

        named = out if out.name not in ("", "..") else out.resolve()
        folder = source or named.with_name(f"{named.name}-download")
        return fetch_voc(year, folder, say=say or (lambda _line: None), quiet=say is None)
    if source is None:
        raise OptionError("Name the folder to pack (`source`), or `download` a year of VOC.")
    if not source.is_dir():
        raise OptionError(
            f"`source={str(source)!r}`: no such folder. `source` takes a folder of images to pack."
        )
    return source


def _read(source: Path, labels: LabelsConfig) -> AnnotatedSet:
    """Load images with the labels that the options name, or that its files show."""
    from shards.sources.registry import read_source
    from shards.sources.source import Request

    files = [split_and_file(value) for value in labels.coco]
    request = Request(
        labels=labels.labels,
        coco=tuple((file, split) for split, file in files),
        separator=labels.label_separator,
        columns=labels.label_column,
    )
    return read_source(source, request, name=labels.from_)


def _with_classes(
    annotated: AnnotatedSet, labels: LabelsConfig, *, warn: Callable[[str], None]
) -> tuple[AnnotatedSet, tuple[str, ...]]:
    """Return the dataset with one spelling per class, and the classes."""
    from shards.classes import choose_classes, read_classes
    from shards.vocabulary import question_names, unify_names

    given = read_classes(labels.classes) if labels.classes else None
    _refuse_nothing(annotated, classes_known=given is not None or annotated.classes is not None)
    annotated = unify_names(
        annotated, renames=dict(labels.rename), merge_case=labels.merge_case, given=given
    )
    for note in annotated.notes:
        warn(f"note: {note}")
    classes = choose_classes(
        annotated.names(),
        given,
        annotated.classes,
        known=annotated.vocabulary,
        where=lambda name: _place(annotated, name),
    )
    for doubt in question_names(annotated, given):
        warn(f"warning: {doubt}")
    return annotated, classes


def _place(annotated: AnnotatedSet, name: str) -> str:
    """The location of a class, for messages."""
    root, place = str(annotated.root), annotated.place(name)
    return root if place == root else f"{root}: {place}"


def _split(
    annotated: AnnotatedSet, classes: Sequence[str], config: SplitConfig
) -> tuple[Mapping[str, Sequence[Sample]], dict[str, str | int | float]]:
    """The samples of each split, and the rule that the manifest records."""
    from shards.splitting.splits import split_by_lists, split_by_ratio

    if config.split == "voc" or (config.split == "auto" and annotated.splits):
        return split_by_lists(annotated), {"split": "voc"}
    fraction = config.train_fraction
    splits = split_by_ratio(annotated, classes=classes, train_fraction=fraction, seed=config.seed)
    return splits, {"split": "ratio", "train_fraction": fraction, "seed": config.seed}


def _correct(
    splits: Mapping[str, Sequence[Sample]],
    classes: Sequence[str],
    file: Path | None,
    rule: dict[str, str | int | float],
    *,
    warn: Callable[[str], None],
) -> Applied:
    """Apply the corrections; the rule records them, so that another file is another set.

    The splits were made with the labels before, or a correction could move an image from one split
    to another.
    """
    from shards.corrections import Applied, apply_corrections, read_corrections

    if file is None:
        return Applied(splits, 0, 0, ())
    corrections = read_corrections(file)
    applied = apply_corrections(splits, corrections, classes=classes)
    rule["corrections"] = corrections.sha256
    if applied.unused:
        warn(
            f"warning: {file}: {len(applied.unused)} of {len(corrections.paths)} corrected images "
            f"are not in the set: {first_names(applied.unused)}"
        )
    return applied


def _refuse_nothing(annotated: AnnotatedSet, *, classes_known: bool) -> None:
    """Raise an error if no image is usable or none has a label."""
    if not annotated.samples:
        first = next(
            (f" First: {shown(b.path)}: {b.fault.detail}." for b in annotated.rejected), ""
        )
        reasons = rejection_reasons(annotated.rejected) or "there is none"
        raise SourceError(f"{annotated.root}: no image is usable ({reasons}).{first}")
    if not classes_known and not annotated.names():
        number = len(annotated.samples)
        raise OptionError(
            f"{annotated.root}: none of its {number} image{'s' * (number != 1)} has a label, so "
            "there are no classes. Name them: `classes=FILE`."
        )
