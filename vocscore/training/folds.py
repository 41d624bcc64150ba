"""Cross-validation of the head: logits of every labeled image by a head not trained on it.

The backbone is frozen, so its features are computed once, for the run itself. Each fold is held out
in turn, and a head like the run's is trained on the features of the others.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING

import numpy as np
import torch

from shards.splitting.folds import assign_folds
from vocscore.errors import DivergedError, TrainError
from vocscore.training.features import Features
from vocscore.training.train_head import train_head

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from vocscore.config.training import TrainConfig
    from vocscore.training.splits import Splits


@dataclass(frozen=True, slots=True, eq=False)
class OutOfFold:
    """Logits of images by heads that were not trained on them.

    Attributes:
        names: original paths, N of them.
        logits: float32, shape (N, C).
        started: when the first head was trained, ISO 8601, UTC.
    """

    names: tuple[str, ...]
    logits: NDArray[np.float32]
    started: str


@dataclass(frozen=True, slots=True, eq=False)
class Division:
    """The images of both splits, each once, divided into folds.

    Attributes:
        names: original paths, N of them: training, then validation, in the order of the shards.
        rows: int64, shape (N,): their places among the images of both splits.
        labels: int8, shape (N, C).
        fold: int64, shape (N,): the fold of each, from 0.
        folds: number of folds.
        keys: hashes of the images, so that copies are recognized; may be empty.
    """

    names: tuple[str, ...]
    rows: NDArray[np.int64]
    labels: NDArray[np.int8]
    fold: NDArray[np.int64]
    folds: int
    keys: tuple[str, ...] = ()

    @property
    def lone(self) -> tuple[int, ...]:
        """Columns of the classes whose positives are all in one fold.

        The head that judges these images has not seen another one.
        """
        shown = np.stack([(self.labels[self.fold == n] == 1).any(0) for n in range(self.folds)])
        return tuple(int(c) for c in np.flatnonzero(shown.sum(0) == 1))


def divide(splits: Splits, *, folds: int, seed: int) -> Division:
    """Divide the images of both splits into folds.

    An image in both splits counts once, as in `eval`; copies of a file share a fold.

    Args:
        splits: of the training.
        folds: their number.
        seed: of the training.

    Raises:
        TrainError: there are fewer different images than folds.
    """
    both = (splits.train, splits.val)
    names = [image.name for part in both for image in part.images]
    hashes = [sha256 for part in both for sha256 in part.sha256]
    first: dict[str, int] = {}
    for place, name in enumerate(names):
        first.setdefault(name, place)
    rows = np.fromiter(first.values(), np.int64, len(first))
    labels = np.concatenate([part.labels for part in both])[rows]
    keys = [hashes[row] for row in rows]
    if len(set(keys)) < folds:
        raise TrainError(
            f"{len(set(keys))} different images cannot be divided into {folds} folds. Use fewer "
            f"`folds`."
        )
    fold = assign_folds(labels == 1, folds, keys=keys, seed=seed)
    return Division(tuple(first), rows, labels, fold, folds, tuple(keys))


def select(features: Sequence[Features], division: Division) -> Features:
    """The features of the labeled images, in their order.

    Args:
        features: of the training and the validation split.
        division: of the images of both.
    """
    values = torch.cat([part.values for part in features])
    if len(values) != len(division.rows):
        values = values[torch.from_numpy(division.rows)]
    return Features(values, division.labels)


def train_folds(
    features: Features, division: Division, config: TrainConfig, *, epochs: int
) -> OutOfFold:
    """Train one head per fold, on the other folds, and compute the logits of the fold.

    Args:
        features: of the labeled images.
        division: of them.
        config: of the run; every head is trained with its settings.
        epochs: of each head; those of the run's kept one, so that no fold chooses its own end.

    Raises:
        DivergedError: the loss of a head is NaN or infinite.
    """
    started = datetime.now(timezone.utc).isoformat(timespec="seconds")
    logits = np.empty(division.labels.shape, np.float32)
    for number in np.unique(division.fold).tolist():
        held = division.fold == number
        train, val = _only(features, ~held), _only(features, held)
        keys = [key for key, out in zip(division.keys, held, strict=False) if not out]
        try:
            logits[held] = _logits(train, val, config, epochs=epochs, keys=keys)
        except DivergedError as error:
            raise DivergedError(f"fold {number + 1} of {division.folds}: {error}") from error
    return OutOfFold(division.names, logits, started)


def _logits(
    train: Features, val: Features, config: TrainConfig, *, epochs: int, keys: Sequence[str]
) -> NDArray[np.float32]:
    """Logits, float32 (N, C), of features by a head that was trained on others."""
    trained = train_head(
        train,
        val,
        model=config.model,
        choice=config.optimization,
        loss=config.loss,
        seed=config.data.seed % 2**63,
        epochs=epochs,
        keys=keys,
    )
    return trained.val.logits


def _only(features: Features, images: NDArray[np.bool_]) -> Features:
    """Select the images of a mask, shape (N,)."""
    return Features(features.values[torch.from_numpy(images)], features.labels[images])
