"""What `vocscore pack` prints: the classes before it writes, the shards after, and what is next."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vocscore.cli.shown_commands import free_path, typed_again, vocscore_command
from vocscore.config.packing import SplitConfig
from vocscore.packing import rejection_reasons

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from shards.sample import AnnotatedSet
    from shards.vocabulary import LabelCounts
    from vocscore.packing import Packed

_ALL = 40
"""Classes that are printed one and all."""
_ENDS = 8
"""Of more classes, as many of the commonest and of the rarest."""
_WIDTH = 96


def show_classes(annotated: AnnotatedSet, classes: Sequence[str]) -> None:
    """Say, before anything is written, what will be a class and how many images show it."""
    from shards.vocabulary import count_labels

    counts = count_labels(annotated)
    absent = sum(not counts.of(name) for name in classes)
    click.echo(f"classes: {len(classes)}, with the number of images that show each:")
    for line in _lines(classes, counts):
        click.echo(f"  {line}")
    if absent and tuple(classes) == annotated.vocabulary:
        click.echo(
            f"  {absent} of PASCAL VOC's {len(classes)} classes are in no image; for fewer "
            "columns, list the classes in a file: --classes FILE"
        )
    elif absent and len(classes) > _ALL:
        click.echo(f"  {absent} of them are in no image")
    click.echo(f"images: {counts.images} ({counts.unlabeled} without labels)")


def _lines(classes: Sequence[str], counts: LabelCounts) -> list[str]:
    if len(classes) <= _ALL:
        return _wrapped([_one(name, counts) for name in classes])
    ordered = sorted(classes, key=lambda name: (-counts.of(name), name))
    common = [_one(name, counts) for name in ordered[:_ENDS]]
    rare = [_one(name, counts) for name in ordered[-_ENDS:]]
    return [*_wrapped(["commonest:", *common]), *_wrapped(["rarest:", *rare])]


def _one(name: str, counts: LabelCounts) -> str:
    difficult = counts.difficult.get(name, 0)
    hard = f" ({difficult} only difficult)" if difficult else ""
    return f"{name} {counts.of(name)}{hard}"


def _wrapped(parts: Sequence[str]) -> list[str]:
    """Lines of parts with commas between; a part is not broken."""
    kept = [part.replace(" ", "\0") for part in parts]
    text = ", ".join(kept).replace(":, ", ": ")
    lines = textwrap.wrap(text, _WIDTH, break_long_words=False, break_on_hyphens=False)
    return [line.replace("\0", " ") for line in lines]


def summarize(ctx: click.Context, out: Path, packed: Packed, *, seconds: float) -> None:
    """Say what was written, what was left out, and what comes next.

    Args:
        ctx: of the running command.
        out: the set.
        packed: what packing came to.
        seconds: that it took.
    """
    report, unlisted = packed.report, packed.unlisted
    manifest = report.manifest
    if report.unchanged:
        click.echo(f"{out} already holds this very set; nothing was written.")
    for name, split in manifest.splits.items():
        size = sum(shard.bytes for shard in split.shards)
        images, shards = _count(split.samples, "image"), _count(len(split.shards), "shard")
        click.echo(f"{name}: {images} in {shards}, {size / 1e6:.1f} MB")
    if unlisted:
        click.echo(f"in none of these splits, left out: {_count(unlisted, 'image')}")
    if report.rejected:
        click.echo(f"rejected: {rejection_reasons(report.rejected)}; see {out / 'rejected.csv'}")
    samples = {name: split.samples for name, split in manifest.splits.items()}
    if not report.unchanged:
        click.echo(f"{seconds:.1f} s, {sum(samples.values()) / seconds:.0f} images/s")
    click.echo(next_step(ctx, out, samples))


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def next_step(ctx: click.Context, out: Path, samples: Mapping[str, int]) -> str:
    """The command that comes next, or what is missing for it.

    Args:
        ctx: of the running command.
        out: the set.
        samples: split -> how many images.
    """
    train, val = training_splits(samples)
    if train and val:
        options = _unless_default("--train-split", train, "train")
        options += _unless_default("--val-split", val, "val")
        return f"next: {vocscore_command('train', out, '-o', _run_beside(out), *options)}"
    only = " and ".join(f"'{name}'" for name in samples)
    needs = f"training needs a split to train on and one to validate on, and this set has {only}"
    if sum(samples.values()) < 2:
        return f"{needs} with a single image"
    changes: dict[str, object] = {"split": "ratio", "overwrite": True}
    if ctx.params.get("train_fraction") in (0, 1):
        changes["train_fraction"] = SplitConfig.train_fraction
    return f"{needs}.\nto split it by a ratio: {typed_again(ctx, **changes)}"


def _run_beside(out: Path) -> Path:
    """A folder for the run: `run` beside `shards`, `cats-run` beside `cats`."""
    named = out if out.name not in ("", "..") else out.resolve()
    if not named.name:
        return free_path(Path("run"))
    return free_path(named.with_name("run" if named.name == "shards" else f"{named.name}-run"))


def _unless_default(option: str, value: str, default: str) -> list[str]:
    return [] if value == default else [option, value]


def training_splits(names: Collection[str]) -> tuple[str | None, str | None]:
    """Which splits to train on and to validate on; None where there is none for it."""
    train = next((name for name in ("train", "trainval") if name in names), None)
    val = next((name for name in ("val", "test") if name in names), None)
    return train, val
