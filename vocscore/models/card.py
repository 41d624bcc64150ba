"""The card of a checkpoint: what must be known of a network to use it.

Reading it loads no network and no torchvision, which takes as long to import as torch itself.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from shards.files import read_regular
from vocscore.errors import CheckpointError
from vocscore.pipeline.preprocess import Preprocess

if TYPE_CHECKING:
    from pathlib import Path

    import torch

WEIGHTS_FILE = "model.safetensors"
CARD_FILE = "model.json"
PLAIN_FORMAT = 1
FITTED_FORMAT = 2
"""Of a card with thresholds of its classes, or a temperature: a program that knows only the plain
format would let these keys pass, and write other probabilities and labels without a word."""
_LARGEST = 3e38  # of a float32


@dataclass(frozen=True)
class ModelCard:
    """What must be known of a network to use it.

    Attributes:
        backbone: the name of a torchvision classification model.
        classes: the names of the logits, in column order, each once.
        preprocess: what turns an image into the network's input.
        threshold: a class counts as predicted from this probability on, 0 to 1.
        weights: where the backbone's first weights came from, for people.
        thresholds: one a class, in column order, in place of `threshold`: from 0 to 1, or above
            where a class is never predicted. None where `threshold` holds for all. Fitted on
            validation data (`vocscore.evaluation.decisions`).
        temperature: probabilities are the sigmoid of logits / temperature; above 0, 1 changes
            nothing.
        precision: 'bf16' where its probabilities were shown to be faithful to float32's, which is
            what `--precision auto` goes by, or 'float32'.
    """

    backbone: str
    classes: tuple[str, ...]
    preprocess: Preprocess
    threshold: float
    weights: str
    thresholds: tuple[float, ...] | None = None
    temperature: float = 1.0
    precision: str = "float32"

    def __post_init__(self) -> None:
        """Refuse a card that no network can have.

        Raises:
            ValueError: classes missing, doubled or not names, a threshold outside 0 to 1 or not
                one a class, or a temperature that is not above 0.
        """
        names = self.classes
        if not names or not all(isinstance(n, str) and n for n in names):
            raise ValueError(f"classes must be names, got {names!r}")
        if len(set(names)) != len(names):
            twice = next(n for n in names if names.count(n) > 1)
            raise ValueError(f"class {twice!r} occurs twice")
        if self.thresholds is not None and len(self.thresholds) != len(names):
            raise ValueError(f"{len(self.thresholds)} thresholds for {len(names)} classes")
        limits = [(self.threshold, 1.0), *((value, _LARGEST) for value in self.thresholds or ())]
        for threshold, limit in limits:
            if not (isinstance(threshold, (int, float)) and 0 <= threshold <= limit):
                raise ValueError(f"threshold must be from 0 to 1, got {threshold!r}")
        if not (isinstance(self.temperature, (int, float)) and 0 < self.temperature < _LARGEST):
            raise ValueError(f"temperature must be above 0, got {self.temperature!r}")
        if not isinstance(self.backbone, str) or not isinstance(self.weights, str):
            raise TypeError("backbone and weights must be text")
        if self.precision not in ("float32", "bf16"):
            raise ValueError(f"precision must be float32 or bf16, got {self.precision!r}")

    @property
    def format(self) -> int:
        """The oldest format that says everything in this card."""
        plain = self.thresholds is None and self.temperature == 1
        return PLAIN_FORMAT if plain else FITTED_FORMAT

    @property
    def decision_threshold(self) -> float | tuple[float, ...]:
        """From which probability on a class counts as predicted: one number, or one a class."""
        return self.threshold if self.thresholds is None else self.thresholds

    def probabilities(self, logits: torch.Tensor) -> torch.Tensor:
        """Turn logits, shape (N, C), into float32 probabilities of the same shape."""
        return (logits.float() / self.temperature).sigmoid()

    def to_json(self) -> dict[str, Any]:
        """Plain values; those that were not fitted have no key."""
        fitted: dict[str, Any] = {}
        if self.format == FITTED_FORMAT:
            thresholds = None if self.thresholds is None else list(self.thresholds)
            fitted = {"thresholds": thresholds, "temperature": self.temperature}
        return {
            "backbone": self.backbone,
            "classes": list(self.classes),
            "preprocess": self.preprocess.to_json(),
            "threshold": self.threshold,
            "weights": self.weights,
            "precision": self.precision,
            **fitted,
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> ModelCard:
        """The inverse of `to_json`; further keys are let pass.

        Raises:
            KeyError, TypeError, ValueError: the values are not those of a card.
        """
        thresholds = value.get("thresholds")
        return cls(
            backbone=value["backbone"],
            classes=tuple(value["classes"]),
            preprocess=_preprocess(value["preprocess"]),
            threshold=value["threshold"],
            weights=value["weights"],
            thresholds=None if thresholds is None else tuple(thresholds),
            temperature=value.get("temperature", 1.0),
            precision=value.get("precision", "float32"),
        )


def load_card(folder: Path) -> ModelCard:
    """Read what must be known of a network, and not the network.

    Raises:
        CheckpointError: the card is missing, damaged or of a newer format.
    """
    return to_card(read_card(folder), folder)


def checkpoint_hash(folder: Path) -> str:
    """The identity of a checkpoint: sha256 over both files' bytes, 64 hexadecimal digits.

    Raises:
        CheckpointError: a file is missing.
    """
    digest = hashlib.sha256()
    for name in (CARD_FILE, WEIGHTS_FILE):
        data = read_file(folder / name)
        digest.update(len(data).to_bytes(8, "little"))  # where one file ends and the other begins
        digest.update(data)
    return digest.hexdigest()


def read_file(file: Path) -> bytes:
    """Read a file of a checkpoint.

    Raises:
        CheckpointError: it is not there.
    """
    try:
        return read_regular(file)
    except OSError as error:
        raise CheckpointError(
            f"{file}: {error.strerror}. {_instead(file.parent)}A model is a folder that 'vocscore "
            f"train' finished ({WEIGHTS_FILE} and {CARD_FILE})."
        ) from error


def _instead(folder: Path) -> str:
    """What a folder is that holds no finished model, where that can be told."""
    if (folder / "resume.pt").exists():
        return "The training there is not finished: go on with 'vocscore train' and --resume. "
    if (folder / "dataset.json").exists():
        return "These are packed images, not a model. "
    return ""


def read_card(folder: Path) -> dict[str, Any]:
    """The JSON of the card, of a format that is known here."""
    data = read_file(folder / CARD_FILE)
    try:
        written = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{folder / CARD_FILE}: not JSON ({error}).") from error
    found = written.get("format") if isinstance(written, dict) else None
    if found not in (PLAIN_FORMAT, FITTED_FORMAT):
        raise CheckpointError(
            f"{folder / CARD_FILE}: format {found!r} is neither {PLAIN_FORMAT} nor "
            f"{FITTED_FORMAT}, which are known here. Use the version of vocscore that wrote it."
        )
    return dict(written)


def to_card(written: dict[str, Any], folder: Path) -> ModelCard:
    """Make the card from what `read_card` gave.

    Raises:
        CheckpointError: a value is missing or none that a card can have.
    """
    try:
        return ModelCard.from_json(written)
    except (KeyError, TypeError, ValueError) as error:
        what = f"no {error}" if isinstance(error, KeyError) else str(error)
        raise CheckpointError(f"{folder / CARD_FILE}: not a model card ({what}).") from error


def _preprocess(value: dict[str, Any]) -> Preprocess:
    """A Preprocess from JSON, where 256 could be 256.5 or "256"."""
    made = Preprocess.from_json(value)
    numbers = (*made.mean, *made.std)
    if not isinstance(made.size, int) or isinstance(made.size, bool):
        raise TypeError(f"preprocess size must be whole pixels, got {made.size!r}")
    if not isinstance(made.upright, bool):
        raise TypeError(f"preprocess upright must be true or false, got {made.upright!r}")
    # Compared, and not converted: JSON's whole numbers may be larger than any float.
    if not all(type(n) in (int, float) and -_LARGEST < n < _LARGEST for n in numbers):
        raise TypeError(f"preprocess mean and std must be numbers, got {numbers!r}")
    return made
