"""Decides which rows of an earlier output stay, and which images are scored again."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from shards.files import read_regular
from shards.remote.places import is_remote, redacted
from vocscore.errors import RecordError, ScoreError
from vocscore.records.input_stamps import HASHED, read_stamps, stamps_file
from vocscore.records.score_record import record_file
from vocscore.scoring.inputs.collector import kept as kept_names
from vocscore.scoring.inputs.stamps import stamped
from vocscore.scoring.inputs.units import LooseFiles
from vocscore.scoring.update.old_rows import keys_of, names_at, read_old_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from vocscore.records.input_stamps import Stamps
    from vocscore.records.score_record import ScoreRecord
    from vocscore.scoring.inputs.units import Inputs
    from vocscore.scoring.update.old_rows import OldRows

_FRESH: Final = "Score it once with `overwrite=True` and without `update=True`."


@dataclass(frozen=True)
class Reuse:
    """What an update keeps.

    Attributes:
        file: the old output.
        bytes: its size.
        kind: 'csv', 'jsonl' or 'parquet'.
        rows: its rows.
        old: int64, shape (M,): for every row of the result the old row that stays, -1 for those
            that are scored, which are in the order of `inputs`.
        stamps: shape (M,): of the rows that stay; the others are filled in by `all_stamps`.
        inputs: the images to be scored.
        counts: numbers of rows 'reused', 'new', 'changed', 'retried', 'dropped' and 'kept'.
        plan: identifies this update, so that an interrupted one is resumed.
    """

    file: Path
    bytes: int
    kind: str
    rows: OldRows
    old: NDArray[np.int64]
    stamps: Stamps
    inputs: LooseFiles
    counts: Mapping[str, int]
    plan: Mapping[str, Any]

    @property
    def stay(self) -> int:
        """Number of rows that are not scored."""
        return self.counts["reused"] + self.counts["kept"]

    @property
    def is_nothing(self) -> bool:
        """Whether the result is the old output."""
        return np.array_equal(self.old, np.arange(len(self.rows.keys)))

    def all_stamps(self, scored: Stamps) -> Stamps:
        """The stamps of every row of the result, given those of the rows that were scored."""
        stamps: Stamps = self.stamps.copy()
        stamps[self.old < 0] = scored
        return stamps


def plan_reuse(
    output: Path,
    record: ScoreRecord,
    inputs: Inputs,
    *,
    by: str,
    keep_removed: bool,
    listing: Callable[[int], None] | None = None,
) -> Reuse:
    """Compare the images with those of an earlier output.

    A row stays if it has no error and its image has the same size and modification time, or with
    `by` 'hash' the same bytes. (A row that has no hash yet is compared by size and time.)

    Args:
        output: the old output, a file.
        record: beside it; the model and the settings are those of this run.
        inputs: what a fresh run would score.
        by: 'size' or 'hash'.
        keep_removed: keep rows without error whose images are gone.
        listing: called with the number of files looked up so far.

    Raises:
        ScoreError: the inputs are not loose images, or there are no stamps of the old output.
    """
    inputs = loose(inputs)
    kind = str(record.output["format"])
    stamps = _old_stamps(output, record)
    now = stamped(inputs.root, inputs.names, hashed=by == "hash", listing=listing)
    rows = read_old_rows(output, kind)
    if len(rows.keys) != record.rows:
        raise ScoreError(
            f"{output}: has {len(rows.keys)} rows, but its record says {record.rows}. {_FRESH}"
        )
    found = _found(keys_of(inputs.names), rows.keys)
    good = (found >= 0) & rows.good[found]
    same = good & _equal(stamps[found], now)
    old = np.where(same, found, -1)
    removed = np.ones(len(rows.keys), np.bool_)
    removed[found[found >= 0]] = False
    kept = np.flatnonzero(removed & rows.good) if keep_removed else np.empty(0, np.int64)
    stays = iter(same.tolist())
    scored = replace(inputs, names=kept_names(inputs.names, lambda _name: not next(stays)))
    digest = hashlib.sha256(read_regular(record_file(output))).hexdigest()
    result = Reuse(
        file=output,
        bytes=int(record.output["bytes"]),
        kind=kind,
        rows=rows,
        old=old,
        stamps=now,
        inputs=scored,
        counts={
            "reused": int(same.sum()),
            "new": int((found < 0).sum()),
            "changed": int((good & ~same).sum()),
            "retried": int(((found >= 0) & ~rows.good[found]).sum()),
            "dropped": int(removed.sum()) - len(kept),
            "kept": len(kept),
        },
        plan={"of": digest, "images": scored.digest(), "by": by, "keep_removed": keep_removed},
    )
    return _with_removed(result, inputs.names, kept, stamps[kept]) if len(kept) else result


def loose(inputs: Inputs) -> LooseFiles:
    """The inputs of an update.

    Raises:
        ScoreError: they are tars, or on object storage.
    """
    if not isinstance(inputs, LooseFiles):
        raise ScoreError(
            "`update=True` compares image files; tars and packed shards are not supported. Omit "
            "`update=True`, and use `overwrite=True` to score them again."
        )
    refuse_storage(inputs.root)
    return inputs


def refuse_storage(source: str) -> None:
    """Refuse to update from a URL.

    Raises:
        ScoreError: it is one.
    """
    if is_remote(source):
        raise ScoreError(
            f"{redacted(source)}: `update=True` compares files; object storage is not supported. "
            "Omit `update=True`, and use `overwrite=True` to score its images again."
        )


def _old_stamps(output: Path, record: ScoreRecord) -> Stamps:
    file = stamps_file(output)
    if record.files_sha256 is None:
        raise ScoreError(
            f"{output}: its record does not say which files were scored (written by an older "
            f"version, or relabeled). {_FRESH}"
        )
    try:
        return read_stamps(file, sha256=record.files_sha256, rows=record.rows)
    except RecordError as error:
        raise ScoreError(f"{error}; without it, changed images are not known. {_FRESH}") from error


def _found(keys: NDArray[np.uint64], old: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Return for every key its row in `old`, or -1; int64, same shape."""
    if not len(old):
        return np.full(len(keys), -1)
    order = np.argsort(old, kind="stable")
    place = np.minimum(np.searchsorted(old, keys, sorter=order), len(old) - 1)
    rows = order[place]
    return np.where(old[rows] == keys, rows, -1)


def _equal(before: Stamps, now: Stamps) -> NDArray[np.bool_]:
    known: NDArray[np.bool_] = (before["size"] >= 0) & (before["size"] == now["size"])
    by_time: NDArray[np.bool_] = known & (before["mtime_ns"] == now["mtime_ns"])
    if before.dtype != HASHED or now.dtype != HASHED:
        return by_time
    by_hash: NDArray[np.bool_] = known & (before["sha256"] == now["sha256"])
    return by_hash


def _with_removed(
    reuse: Reuse, names: Sequence[str], kept: NDArray[np.int64], stamps: Stamps
) -> Reuse:
    """Insert rows of images that are gone: by name if the inputs are sorted, else at the end."""
    gone = names_at(reuse.file, reuse.kind, kept)
    every = [*names, *gone]
    if all(a <= b for a, b in pairwise(names)):
        order = np.array(sorted(range(len(every)), key=every.__getitem__), np.int64)
    else:
        order = np.arange(len(every))
    moved = np.zeros(len(kept), reuse.stamps.dtype)
    for name in set(stamps.dtype.names or ()) & set(moved.dtype.names or ()):
        moved[name] = stamps[name]
    return replace(
        reuse,
        old=np.concatenate([reuse.old, kept])[order],
        stamps=np.concatenate([reuse.stamps, moved])[order],
    )
