"""Chooses the images that are judged: by default those that the model was not trained on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from shards.manifest import read_manifest
from vocscore.errors import EvalError
from vocscore.evaluation.labeled import NO_ROW, Labeled, load_labeled
from vocscore.evaluation.matching import match_paths
from vocscore.evaluation.seen import Seen, find_origin, find_seen

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from shards.manifest import Manifest
    from vocscore.evaluation.predictions import Predictions

ALL = "all"
"""For `split`: every split of which an image was scored, those that were trained on as well."""


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """Labeled images that are to be judged, and where their predictions stand.

    Attributes:
        labeled: the images, N of them.
        row: int64, shape (N,): the row of the predictions of each image, or `NO_ROW`.
        seen: what the model has seen of them.
        left_out: split -> scored images of it that are not judged, because they were trained on.
        matched: rows of the predictions that are of an image in the splits looked at.
        exact: rows and images have equal paths; else they were matched by how these end.
    """

    labeled: Labeled
    row: NDArray[np.int64]
    seen: Seen
    left_out: Mapping[str, int]
    matched: int
    exact: bool

    def only(self, images: NDArray[np.bool_]) -> Judged:
        """The images of a mask, shape (N,)."""
        return replace(
            self,
            labeled=self.labeled.only(images),
            row=self.row[images],
            seen=self.seen.only(images),
        )


def choose_images(
    predictions: Path, found: Predictions, shards: Path, *, split: str | None, model: Path | None
) -> Judged:
    """Choose what is judged.

    Args:
        predictions: a file, or a folder of parts.
        found: what is in them.
        shards: the packed set.
        split: as for `evaluate`.
        model: as for `evaluate`.

    Raises:
        EvalError: paths cannot be matched, every image was trained on and no split is asked for,
            or `model` did not make the predictions.
        Error: the shards cannot be read, or have no such split.
    """
    manifest = read_manifest(shards)
    origin = find_origin(predictions, found, model=model)
    labeled = load_labeled(shards, _asked(split, manifest))
    matches = match_paths(labeled.names, found.paths)
    judged = Judged(
        labeled,
        np.array([matches.pairs.get(i, NO_ROW) for i in range(len(labeled.names))], np.int64),
        find_seen(labeled, shards, manifest, origin),
        left_out={},
        matched=len(matches.pairs),
        exact=matches.exact,
    )
    if split is None:
        judged = _held_out(judged, predictions)
    if split is None or _is_all(split, manifest):
        judged = judged.only(judged.labeled.in_scored_splits(judged.row))
    return judged


def _asked(split: str | None, manifest: Manifest) -> list[str]:
    """The splits to look at."""
    if split is None or _is_all(split, manifest):
        return list(manifest.splits)
    return [name.strip() for name in split.split(",")]


def _is_all(split: str, manifest: Manifest) -> bool:
    """Whether every split is asked for, and not one that is called so."""
    return split == ALL and ALL not in manifest.splits


def _held_out(judged: Judged, predictions: Path) -> Judged:
    """Leave out what was trained on.

    Raises:
        EvalError: no scored image is left.
    """
    trained, has_row = judged.seen.trained, judged.row != NO_ROW
    counts = judged.labeled.counts(trained & has_row)
    left_out = {name: number for name, number in counts.items() if number}
    if not (has_row & ~trained).any():
        raise EvalError(
            f"{predictions}: all {sum(left_out.values())} scored images that have labels "
            f"({_listed(left_out)}) {_were_trained_on(judged.seen)}. Score images that were held "
            f"out, or judge these all the same with --split {','.join(left_out)}."
        )
    return replace(judged.only(~trained), left_out=left_out)


def _were_trained_on(seen: Seen) -> str:
    if seen.known_by == "assumption":
        return (
            f"are taken as trained on, by the name of the split, because {seen.source} (to know, "
            "name the run of the model with --model)"
        )
    return f"were trained on, says {seen.source}"


def _listed(counts: Mapping[str, Any]) -> str:
    return ", ".join(f"{number} of {name}" for name, number in counts.items())
