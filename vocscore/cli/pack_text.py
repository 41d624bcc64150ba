"""The output of `vocscore pack`: the classes, then the shards and the next command."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from shards.packing.rejected import rejection_reasons
from shards.paths import shown
from vocscore.cli.shown_commands import free_path, typed_again, vocscore_command
from vocscore.cli.typed_options import echo
from vocscore.config.packing import SplitConfig
from vocscore.machine import peak_memory
from vocscore.text_width import shorten, wrap

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    import click

    from shards.sample import AnnotatedSet
    from shards.vocabulary import LabelCounts
    from vocscore.packing import PackReport

_ALL = 40
"""Number of classes up to which all are printed."""
_ENDS = 8
"""Number of the most common and of the rarest classes that are printed if there are more."""
_INDENT = "  "
_LONGEST_NAME = 40
"""Columns of a name; longer ones are shortened (dataset.json has the full name)."""


def show_classes(annotated: AnnotatedSet, classes: Sequence[str]) -> None:
    """Print the classes and how many images show each, before anything is written."""
    from shards.vocabulary import count_labels

    if annotated.layout:
        echo(f"source: {shown(annotated.layout)}")
    counts = count_labels(annotated)
    absent = sum(not counts.of(name) for name in classes)
    echo(f"classes: {len(classes)}, with the number of images that show each:")
    for line in _lines(classes, counts):
        echo(line)
    if absent and tuple(classes) == annotated.vocabulary:
        echo(
            f"  {absent} of PASCAL VOC's {len(classes)} classes are in no image;\n"
            "  for fewer columns, list the classes in a file: --classes FILE"
        )
    elif absent and len(classes) > _ALL:
        echo(f"  {absent} of them are in no image")
    echo(f"images: {counts.images} ({counts.unlabeled} without labels)")
    if annotated.splits:
        echo(f"splits: {_splits(annotated)}")
    if annotated.rejected:
        echo(f"cannot be used: {_rejected(annotated)}")


def _splits(annotated: AnnotatedSet) -> str:
    """The set's own splits with their images, and the images in none."""
    told = [f"{name} {len(paths)}" for name, paths in annotated.splits.items()]
    split = frozenset[str]().union(*annotated.splits.values())
    outside = sum(sample.path not in split for sample in annotated.samples)
    return ", ".join([*told, f"in none {outside}"] if outside else told)


def _rejected(annotated: AnnotatedSet) -> str:
    """The number of images that the source leaves out by reason, and the first of each reason."""
    first = {str(bad.fault.reason): bad for bad in reversed(annotated.rejected)}
    examples = "; ".join(f"{shown(b.path)}: {b.fault.detail}" for _, b in sorted(first.items()))
    return f"{rejection_reasons(annotated.rejected)} ({examples})"


def _lines(classes: Sequence[str], counts: LabelCounts) -> list[str]:
    if len(classes) <= _ALL:
        return wrap([_one(name, counts) for name in classes], begin=_INDENT, indent=_INDENT)
    ordered = sorted(classes, key=lambda name: (-counts.of(name), name))
    common = [_one(name, counts) for name in ordered[:_ENDS]]
    rare = [_one(name, counts) for name in ordered[-_ENDS:]]
    return [
        *wrap(common, begin=f"{_INDENT}commonest: ", indent=_INDENT),
        *wrap(rare, begin=f"{_INDENT}rarest: ", indent=_INDENT),
    ]


def _one(name: str, counts: LabelCounts) -> str:
    difficult = counts.difficult.get(name, 0)
    hard = f" ({difficult} only difficult)" if difficult else ""
    return f"{shorten(name, _LONGEST_NAME)} {counts.of(name)}{hard}"


def summarize(ctx: click.Context, out: Path, report: PackReport, *, seconds: float) -> None:
    """Print what was written, what was left out, and the next command.

    Args:
        ctx: context of the running command.
        out: folder of the set.
        report: result of packing.
        seconds: duration.
    """
    unlisted, manifest = report.unlisted, report.manifest
    if report.unchanged:
        echo(f"{out} already contains exactly this set; nothing was written.")
    for name, split in manifest.splits.items():
        size = sum(shard.bytes for shard in split.shards)
        images, shards = _count(split.samples, "image"), _count(len(split.shards), "shard")
        echo(f"{name}: {images} in {shards}, {size / 1e6:.1f} MB")
    if report.corrected or report.dropped:
        echo(
            f"corrections: {_count(report.corrected, 'label')} changed, "
            f"{_count(report.dropped, 'image')} left out"
        )
    if unlisted:
        echo(f"left out, in none of these splits: {_count(unlisted, 'image')}")
    if report.rejected:
        echo(f"rejected: {rejection_reasons(report.rejected)}; see {out / 'rejected.csv'}")
    samples = {name: split.samples for name, split in manifest.splits.items()}
    if not report.unchanged:
        echo(
            f"{seconds:.1f} s, {sum(samples.values()) / seconds:.0f} images/s, peak memory "
            f"{peak_memory() / 2**20:,.0f} MiB"
        )
    echo(next_step(ctx, out, samples))


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def next_step(ctx: click.Context, out: Path, samples: Mapping[str, int]) -> str:
    """Return the next command, or what is missing for it.

    Args:
        ctx: context of the running command.
        out: folder of the set.
        samples: split -> number of images.
    """
    train, val = training_splits(samples)
    if train and val:
        options = _unless_default("--train-split", train, "train")
        options += _unless_default("--val-split", val, "val")
        return f"next: {vocscore_command('train', out, '-o', _run_beside(out), *options)}"
    only = " and ".join(f"'{name}'" for name in samples)
    needs = f"training needs one split to train on and one to validate on; this set has {only}"
    if sum(samples.values()) < 2:
        return f"{needs} with a single image"
    changes: dict[str, object] = {"split": "ratio", "overwrite": True}
    if ctx.params.get("train_fraction") in (0, 1):
        changes["train_fraction"] = SplitConfig.train_fraction
    return f"{needs}.\nto split it by a ratio: {typed_again(ctx, **changes)}"


def _run_beside(out: Path) -> Path:
    """Return a folder for the run: `run` beside `shards`, `cats-run` beside `cats`."""
    named = out if out.name not in ("", "..") else out.resolve()
    if not named.name:
        return free_path(Path("run"))
    return free_path(named.with_name("run" if named.name == "shards" else f"{named.name}-run"))


def _unless_default(option: str, value: str, default: str) -> list[str]:
    return [] if value == default else [option, value]


def training_splits(names: Collection[str]) -> tuple[str | None, str | None]:
    """Return the splits to train on and to validate on; None if there is none."""
    train = next((name for name in ("train", "trainval") if name in names), None)
    val = next((name for name in ("val", "test") if name in names), None)
    return train, val
