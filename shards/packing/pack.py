"""Packs an annotated set into shards: the function that `vocscore pack` calls."""

from __future__ import annotations

import errno
import os
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from shards.errors import PackError
from shards.manifest import NAME, RAW, UNFINISHED, VERIFY, read_manifest
from shards.packing.ending import Ending, Packed, PackReport
from shards.packing.journal import count_finished, packing
from shards.packing.packer import Commits, SplitPacker
from shards.packing.plan import Plan, survey
from shards.packing.prepare import Candidate, Handling, PreparedSample, prepare_all
from shards.packing.units import Workshop
from shards.packing.units_run import UnitsRun
from shards.sample import ImageRef

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence
    from pathlib import Path

    from shards.manifest import JSON
    from shards.packing.journal import Journal
    from shards.packing.units_run import OpenPool
    from shards.raw_images import RawMaker
    from shards.sample import AnnotatedSet, Rejection, Sample

_FULL: Final = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def pack(
    annotated: AnnotatedSet,
    splits: Mapping[str, Sequence[Sample]],
    out: Path,
    *,
    classes: Sequence[str],
    shard_samples: int,
    verify: bool,
    max_bad: float,
    max_pixels: int,
    resize: int | None,
    quality: int,
    workers: int,
    overwrite: bool,
    settings: Mapping[str, JSON],
    raw: RawMaker | None = None,
    progress: Callable[[int, int, int], None] | None = None,
    stage: Callable[[str], None] | None = None,
    pool: OpenPool | None = None,
) -> PackReport:
    """Write images and labels into shards.

    A shard is closed when it has `shard_samples` good images, so all but the last of a split
    are full. Equal arguments give equal bytes, for any number of `workers` and however often the
    run was killed and restarted.

    Args:
        annotated: the set; its own rejections are counted and listed.
        splits: the samples of each split, packed in this order, each sorted by path or, if the
            set has a store, as they stand there.
        out: the folder for the shards; created if missing.
        classes: in column order.
        shard_samples: images per shard.
        verify: decode every image strictly and leave out the bad ones; otherwise only headers
            are read.
        max_bad: fraction of the images that may be left out. The run processes the whole set
            before it fails, so that `rejected.csv` lists all of them and a rerun with a higher
            limit has nothing left to do.
        max_pixels: largest accepted width times height, a limit against decompression bombs.
        resize: side of re-encoded square images, pixels; None keeps the bytes.
        quality: JPEG quality of the re-encoding.
        workers: threads that read and check, without a pool.
        overwrite: replace a finished set, or an unfinished one with another plan.
        settings: other settings that determined the splits; recorded with those above and
            compared when a run is resumed.
        raw: makes the raw images of a set of raw images of the size `resize`; None: images are
            stored as files.
        progress: called with the images done, the total, and those rejected so far.
        stage: called with the name of each stage of a run with a pool, where `progress` then
            starts again from 0.
        pool: opens workers that check and write; None: this process does.

    Raises:
        PackError: too many bad images, a split without a good image, another set or another run
            in the folder, a folder that is full or read-only.
        LabelError: a sample's class is not in `classes`.
        DamageError: the existing set cannot be read.
    """
    config = {
        **settings,
        "shard_samples": shard_samples,
        VERIFY: verify,
        "max_pixels": max_pixels,
        "resize": resize,
        "quality": quality if resize is not None and raw is None else None,
        **({} if raw is None else {RAW: raw.form.to_json()}),
    }
    plan, candidates = survey(annotated, splits, classes=classes, config=config)
    if not overwrite and (out / NAME).exists() and not (out / UNFINISHED).exists():
        return _finished(out, plan)  # not even a lock is written: the set may be read-only
    handling = Handling(verify, max_pixels, resize, quality, raw)
    ending = Ending(
        out,
        plan,
        listed=annotated.rejected,
        total=sum(map(len, candidates.values())),
        max_bad=max_bad,
    )
    run = _Run(
        out=out,
        candidates=candidates,
        classes=plan.classes,
        prepare=partial(
            prepare_all,
            locate=_locator(annotated, annotated.root),
            handling=handling,
            workers=workers,
        ),
        shard_samples=shard_samples,
        progress=progress,
    ).pack
    if pool is not None:
        root, folder = annotated.root.absolute(), out.absolute()
        run = partial(
            _pack_in_pool,
            out=folder,
            plan=plan,
            candidates=candidates,
            pool=pool,
            workshop=Workshop(
                root=root,
                locate=_locator(annotated, root),
                handling=handling,
                classes=plan.classes,
                stage=folder / UNFINISHED,
            ),
            shard_samples=shard_samples,
            progress=progress,
            stage=stage,
        )
    with _one_line(out), packing(out) as journal:
        if not overwrite and (out / NAME).exists():  # its run was killed between the last two steps
            report = _finished(out, plan)
        else:
            journal.begin(plan, overwrite=overwrite)
            ending.list_rejected(annotated.rejected)  # may be too many already
            report = ending.finish(run(journal))
        journal.end()
    return report


def _pack_in_pool(
    journal: Journal,
    *,
    out: Path,
    plan: Plan,
    candidates: Mapping[str, Sequence[Candidate]],
    pool: OpenPool,
    workshop: Workshop,
    shard_samples: int,
    progress: Callable[[int, int, int], None] | None,
    stage: Callable[[str], None] | None,
) -> Packed:
    """Pack the remaining images with the workers of a pool."""
    run = UnitsRun(
        out,
        journal,
        plan,
        candidates,
        shard_samples=shard_samples,
        progress=progress,
        stage=stage,
    )
    if run.left:
        try:
            with pool(workshop) as workers:
                run.run(workers)
        finally:
            run.clean()
    return run.packed


def _locator(annotated: AnnotatedSet, root: Path) -> Callable[[str], ImageRef]:
    """A function from the path of a sample to the location of its image; it can be pickled."""
    if annotated.store is not None:
        return annotated.store.ref
    return partial(_file_below, str(root))


def _file_below(root: str, path: str) -> ImageRef:
    return ImageRef(path, os.path.join(root, path))  # noqa: PTH118 - a fifth of the time


def _finished(out: Path, plan: Plan) -> PackReport:
    """The report on a finished set, if it is the planned one."""
    manifest = read_manifest(out)
    if difference := plan.differs(manifest):
        raise PackError(
            f"{out}: contains a finished set, packed with {difference}. Use `overwrite=True` "
            "to replace it, or choose another folder with `output`."
        )
    return PackReport(manifest, (), unchanged=True)


@dataclass(frozen=True)
class _Run:
    """The work of one call to `pack`, in this process."""

    out: Path
    candidates: Mapping[str, Sequence[Candidate]]
    prepare: Callable[[Sequence[Candidate]], Generator[list[PreparedSample | Rejection]]]
    classes: Sequence[str]
    shard_samples: int
    progress: Callable[[int, int, int], None] | None

    def pack(self, journal: Journal) -> Packed:
        """Pack the remaining images."""
        packers: dict[str, SplitPacker] = {}
        with Commits(self.out, journal) as commits:
            for split in self.candidates:
                packers[split] = SplitPacker(
                    split,
                    journal,
                    commits,
                    classes=self.classes,
                    shard_samples=self.shard_samples,
                )
                self._fill(packers, split)
        return {split: (packer.shards, packer.rejected) for split, packer in packers.items()}

    def _fill(self, packers: Mapping[str, SplitPacker], split: str) -> None:
        """Pack the rest of one split."""
        packer = packers[split]
        left = self.candidates[split][packer.next :]
        with packer, closing(self.prepare(left)) as runs:
            self._show(packers.values())
            for outcomes in runs:
                for outcome in outcomes:
                    packer.take(outcome)
                self._show(packers.values())

    def _show(self, packers: Collection[SplitPacker]) -> None:
        if self.progress is not None:
            rejected = sum(len(packer.rejected) for packer in packers)
            total = sum(map(len, self.candidates.values()))
            self.progress(sum(packer.next for packer in packers), total, rejected)


@contextmanager
def _one_line(out: Path) -> Iterator[None]:
    """Convert disk errors to one line that says what is kept and what to do."""
    try:
        yield
    except BlockingIOError:
        raise PackError(
            f"{out}: another 'vocscore pack' is running there. Wait for it, or choose another "
            "folder with `output`."
        ) from None
    except OSError as error:
        raise PackError(_refused(out, error)) from error


def _refused(out: Path, error: OSError) -> str:
    kept = count_finished(out)
    cure = "Free disk space" if error.errno in _FULL else "Grant write permission"
    if kept:
        cure = f"{kept} finished shard{'s are' if kept > 1 else ' is'} kept: {cure.lower()}"
    return (
        f"{error.filename or out}: {error.strerror}. {cure} and rerun the same command, or "
        "choose another folder with `output`."
    )
