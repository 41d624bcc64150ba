"""Chooses the images to evaluate: by default those that the model was not trained on."""

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
"""For `split`: every split with a scored image, including those that were trained on."""


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """The labeled images to evaluate, and the rows of their predictions.

    Attributes:
        labeled: the images, N of them.
        row: int64, shape (N,): the row of each image in the predictions, or `NO_ROW`.
        seen: how the model's training used them.
        left_out: split -> scored images of it left out, because they were trained on.
        matched: prediction rows whose image is in the splits considered.
        exact: paths of rows and images are equal; else they were matched by their endings.
    """

    labeled: Labeled
    row: NDArray[np.int64]
    seen: Seen
    left_out: Mapping[str, int]
    matched: int
    exact: bool

    def only(self, images: NDArray[np.bool_]) -> Judged:
        """Select the images of a mask, shape (N,)."""
        return replace(
            self,
            labeled=self.labeled.only(images),
            row=self.row[images],
            seen=self.seen.only(images),
        )


def choose_images(
    predictions: Path, found: Predictions, shards: Path, *, split: str | None, model: Path | None
) -> Judged:
    """Choose the images to evaluate.

    Args:
        predictions: a file, or a folder of parts.
        found: the predictions in it.
        shards: the packed dataset.
        split: as for `evaluate`.
        model: as for `evaluate`.

    Raises:
        EvalError: paths cannot be matched, every image was trained on and no split is requested,
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
    """The splits to consider."""
    if split is None or _is_all(split, manifest):
        return list(manifest.splits)
    return [name.strip() for name in split.split(",")]


def _is_all(split: str, manifest: Manifest) -> bool:
    """Whether all splits are requested, rather than a split of that name."""
    return split == ALL and ALL not in manifest.splits


def _held_out(judged: Judged, predictions: Path) -> Judged:
    """Leave out images that were trained on.

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
            f"out, or evaluate these anyway with `split={','.join(left_out)!r}`."
        )
    return replace(judged.only(~trained), left_out=left_out)


def _were_trained_on(seen: Seen) -> str:
    if seen.known_by == "assumption":
        return (
            f"are assumed to be trained on, by the name of the split, because {seen.source} (to "
            "be certain, name the model's run with `model`)"
        )
    return f"were trained on, according to {seen.source}"


def _listed(counts: Mapping[str, Any]) -> str:
    return ", ".join(f"{number} of {name}" for name, number in counts.items())
