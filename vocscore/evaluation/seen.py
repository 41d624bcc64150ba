"""Finds the labeled images that the model behind some predictions was trained on.

Predictions do not name their model. The record beside them does (`vocscore.records`), or the
model's run if the user names it. If the labeled dataset is that of the training, its splits
decide, even if it has been sharded differently since. If it is another one, its images are compared
one by one with those of the training, by content. If nothing is known, splits named 'train' or
'trainval' are assumed to be trained on, and the report says so.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from shards.errors import Error
from shards.manifest import manifest_hash, read_manifest
from shards.reader import load_split
from vocscore.errors import EvalError, RecordError
from vocscore.records.images import UsedImages, paths_hash, read_images
from vocscore.records.score_record import STARTED, read_record, record_file
from vocscore.records.trained_on import TrainedOn, encoding_of, read_trained_on

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from shards.manifest import Manifest
    from vocscore.evaluation.labeled import Labeled
    from vocscore.evaluation.predictions import Predictions
    from vocscore.records.score_record import ScoreRecord

KnownBy = Literal["record", "model", "assumption"]
_TRAINING_NAMES = ("train", "trainval")
"""Splits that are assumed to be trained on if there is no source."""


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """How a model's training used some labeled images.

    Attributes:
        trained: bool, shape (N,): it was trained on the image.
        validated: bool, shape (N,): it was validated on the image.
        chosen: what validation chose: some of 'epoch', 'thresholds', 'temperature'.
        known_by: 'record' or 'model' for a source; 'assumption' for the names of splits.
        source: the record or the run; for an assumption, why there is no source.
        notes: further sentences for the user.
    """

    trained: NDArray[np.bool_]
    validated: NDArray[np.bool_]
    chosen: tuple[str, ...]
    known_by: KnownBy
    source: str
    notes: tuple[str, ...]

    def only(self, images: NDArray[np.bool_]) -> Seen:
        """Select the images of a mask, shape (N,)."""
        return replace(self, trained=self.trained[images], validated=self.validated[images])


@dataclass(frozen=True, slots=True)
class Origin:
    """What is known about the model that made the predictions.

    Attributes:
        trained_on: its training data; None if unknown.
        runs: folders that may be its run.
        known_by: as for `Seen`.
        source: as for `Seen`.
        notes: as for `Seen`.
        folds: as for `ScoreRecord`; if set, the model was trained on none of the images.
    """

    trained_on: TrainedOn | None
    runs: tuple[Path, ...]
    known_by: KnownBy
    source: str
    notes: tuple[str, ...] = ()
    folds: int | None = None


def find_origin(predictions: Path, found: Predictions, *, model: Path | None) -> Origin:
    """Find the model that made the predictions.

    Args:
        predictions: a file, or a folder of parts.
        found: the predictions in it.
        model: the run, if the user names it.

    Raises:
        EvalError: `model` is not a run, or not the one that the record names.
    """
    place = place_of_record(predictions)
    record, odd = _record_of(place, predictions, found)
    notes, beside = (*found.notes, *odd), str(place)
    if model is not None:
        _check_model(model, record, found, beside=beside)
    folds = None if record is None else record.folds
    if model is not None and folds is None:
        origin = run_origin(model, notes)
        if origin.trained_on is None:
            raise EvalError(f"{origin.source}. Name the folder that 'vocscore train' wrote.")
        return origin
    if record is None:
        return Origin(None, (), "assumption", "there is no record beside the predictions", notes)
    if record.trained_on is None and folds is None:
        why = f"{beside} does not name the training data (no config.json in the model's folder)"
        return Origin(None, (), "assumption", why, notes)
    runs = (Path(record.model.path), Path(record.model.given))
    return Origin(record.trained_on, runs, "record", beside, notes, folds)


def place_of_record(predictions: Path) -> Path:
    """Return where the record of predictions is, if there is one."""
    places = (
        record_file(predictions),
        record_file(predictions.resolve()),  # for a link, the record of its target
        predictions / STARTED,  # of a run that is still writing: OUT.parts, or OUT
        predictions.with_name(f"{predictions.name}.parts") / STARTED,
    )
    return next((place for place in places if place.exists()), places[0])


def run_origin(run: Path, notes: tuple[str, ...] = ()) -> Origin:
    """What a run says about its model."""
    told = read_trained_on(run)
    if told is None:
        why = f"{run} does not say what it was trained on (no config.json of a training in it)"
        return Origin(None, (), "assumption", why, notes)
    return Origin(told, (run,), "model", str(run), notes)


def find_seen(labeled: Labeled, shards: Path, manifest: Manifest, origin: Origin) -> Seen:
    """Find which labeled images the model was trained or validated on.

    Args:
        labeled: images of `shards`.
        shards: the packed dataset.
        manifest: of that dataset.
        origin: of the predictions.
    """
    seen = _seen_by_run(labeled, shards, manifest, origin)
    if origin.folds is None:
        return seen
    how = f"each image was scored by the one of {origin.folds} heads that was not trained on it"
    return replace(
        seen,
        trained=np.zeros(len(labeled.names), np.bool_),
        known_by=origin.known_by,
        source=origin.source,
        notes=(*origin.notes, how),
    )


def _seen_by_run(labeled: Labeled, shards: Path, manifest: Manifest, origin: Origin) -> Seen:
    """What the run's own head was trained and validated on."""
    told = origin.trained_on
    if told is None:
        return _assumed(labeled, origin, why=origin.source)
    same = told.shards_sha256 == manifest_hash(shards) or told.listing == manifest.listing
    if same:
        trained = labeled.in_splits(told.train_splits)
        validated = labeled.in_splits(told.val_splits)
        return Seen(trained, validated, told.chosen, origin.known_by, origin.source, origin.notes)
    used = _used_images(told, origin.runs)
    if used is None:
        why = (
            f"the model was trained on another dataset, {told.shards}, and neither that nor the "
            "images.csv of its run exists to compare images with"
        )
        return _assumed(labeled, origin, why=why)
    images, encoding = used
    by_content = encoding == encoding_of(manifest)
    trained = _among(labeled, images.train, by_content=by_content)
    validated = _among(labeled, images.val, by_content=by_content)
    notes = (*origin.notes, *_alike(labeled, trained, images.train, by_content=by_content))
    return Seen(trained, validated, told.chosen, origin.known_by, origin.source, notes)


def _record_of(
    beside: Path, predictions: Path, found: Predictions
) -> tuple[ScoreRecord | None, tuple[str, ...]]:
    """The record beside the predictions, if it is theirs, and notes on mismatches."""
    try:
        record = read_record(beside)
    except RecordError as error:
        return None, (str(error),)
    if record is None:
        return None, ()
    if set(record.model.classes) != set(found.classes):
        return None, (f"{beside} is the record of other predictions: its classes differ",)
    # of an unfinished run, rows are still being written
    return record, _mismatches(record, predictions, found, beside) if record.finished else ()


def _mismatches(
    record: ScoreRecord, predictions: Path, found: Predictions, beside: Path
) -> tuple[str, ...]:
    """Notes on predictions that are not as they were when their record was written."""
    rows, size = len(found.paths), _size(predictions)
    written = record.output.get("bytes", size)
    if record.rows != rows:
        return (f"{beside} was written for {record.rows} rows, but now there are {rows}",)
    if written != size:
        then = f"{written} bytes then, {size} now"
        return (f"{predictions} was changed since its record was written: {then}",)
    return ()


def _size(predictions: Path) -> int:
    """Bytes of a file, or of the parts of a folder."""
    files = predictions.iterdir() if predictions.is_dir() else [predictions]
    return sum(file.stat().st_size for file in files)


def _check_model(
    model: Path, record: ScoreRecord | None, found: Predictions, *, beside: str
) -> None:
    """Refuse a model that is known not to have made the predictions."""
    from vocscore.models.card_file import checkpoint_hash, load_card

    if set(load_card(model).classes) != set(found.classes):
        raise EvalError(
            f"{model}: its classes differ from the predictions', so it did not make them. Name the "
            "run of the model that did."
        )
    if record is not None and checkpoint_hash(model) != record.model.sha256:
        raise EvalError(
            f"{model}: not the model that made these predictions, according to {beside} "
            f"(its model was {record.model.path}). Leave out `model`, or score with this one."
        )


def _used_images(told: TrainedOn, runs: tuple[Path, ...]) -> tuple[UsedImages, str] | None:
    """The images of a training, and how they were encoded: from its run, else from its shards."""
    for run in runs:
        images = read_images(run)
        if images is None or told.encoding is None:
            continue
        if paths_hash(images.train) == told.train_images_sha256:  # else those of a later training
            return images, told.encoding
    # older runs record their shards as typed, relative to an unknown folder
    places = [Path(told.shards), *(run.parent / told.shards for run in runs)]
    for shards in places:
        used = _packed_images(shards, told)
        if used is not None:
            return used
    return None


def _packed_images(shards: Path, told: TrainedOn) -> tuple[UsedImages, str] | None:
    """The images of a training from its shards, if these still exist."""
    try:
        if manifest_hash(shards) != told.shards_sha256:
            return None
        train, val = (
            load_split(shards, ",".join(names)) for names in (told.train_splits, told.val_splits)
        )
        encoding = encoding_of(read_manifest(shards))
    except (OSError, Error):
        return None
    named = [
        dict(zip((image.name for image in part.images), part.sha256, strict=True))
        for part in (train, val)
    ]
    return UsedImages(*named), encoding


def _among(labeled: Labeled, used: Mapping[str, str], *, by_content: bool) -> NDArray[np.bool_]:
    """Which labeled images were used, by equal bytes or else by equal path."""
    if not by_content:
        return np.array([name in used for name in labeled.names], np.bool_)
    contents = frozenset(used.values())
    return np.array([sha256 in contents for sha256 in labeled.sha256], np.bool_)


def _alike(
    labeled: Labeled, trained: NDArray[np.bool_], used: Mapping[str, str], *, by_content: bool
) -> tuple[str, ...]:
    """Notes on a comparison of images one by one."""
    if not by_content:
        how = "images were compared by path: the training dataset has another `resize`"
        return (how,)
    alike = sum(name in used for name, was in zip(labeled.names, trained, strict=True) if not was)
    if not alike:
        return ()
    return (f"{alike} images have the path of a training image, but other bytes",)


def _assumed(labeled: Labeled, origin: Origin, *, why: str) -> Seen:
    """Decide by the names of the splits."""
    told = origin.trained_on.train_splits if origin.trained_on else ()
    trained = labeled.in_splits([*_TRAINING_NAMES, *told])
    nothing = np.zeros(len(labeled.names), np.bool_)
    return Seen(trained, nothing, (), "assumption", why, origin.notes)
