"""The card of a checkpoint: everything needed to use its network.

Reading it imports neither torch nor torchvision.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from vocscore.errors import CheckpointError
from vocscore.models.head_spec import OWN, parse_head
from vocscore.models.onnx_signature import BACKBONE as ONNX
from vocscore.models.onnx_signature import OnnxSignature
from vocscore.models.probabilities import decide, probabilities
from vocscore.pipeline.preprocess import Preprocess

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy as np
    import torch
    from numpy.typing import NDArray

    from vocscore.device import Precision
    from vocscore.models.head_spec import HeadSpec

WEIGHTS_FILE = "model.safetensors"
ONNX_FILE = "model.onnx"
"""In place of `WEIGHTS_FILE`: the whole network of a card whose backbone is 'onnx'."""
CARD_FILE = "model.json"
PLAIN_FORMAT = 1
FITTED_FORMAT = 2
"""Format of a card with per-class thresholds or a temperature. It differs from the plain format so
that older versions refuse it, instead of ignoring these keys and writing wrong probabilities."""
EXTENDED_FORMAT = 3
"""Format of a card with another activation, head or way to make an image square than the first
versions knew."""
ACTIVATIONS: Final = ("sigmoid", "softmax", "none")
_LARGEST = 3e38  # about the largest float32


@dataclass(frozen=True)
class ModelCard:
    """Everything needed to use a network.

    Attributes:
        backbone: name of a torchvision classification model.
        classes: names of the logits, in column order, without duplicates.
        preprocess: turns an image into the network's input.
        threshold: a class is predicted at or above this probability, 0 to 1.
        weights: source of the backbone's initial weights, as text for the user.
        thresholds: one per class, in column order, instead of `threshold`: from 0 to 1, or above 1
            if the class is never predicted. None: `threshold` applies to all. Fitted on
            validation data (`vocscore.evaluation.decisions`).
        temperature: probabilities are the sigmoid of logits / temperature; above 0, 1 changes
            nothing.
        precision: the arithmetic of `--precision auto`: 'bf16' if its probabilities were measured
            to be close to float32's, else 'float32'.
        activation: turns logits into probabilities: 'sigmoid' for each class alone, 'softmax' over
            all classes (then the one with the greatest is predicted), or 'none' where the network
            gives probabilities itself.
        head: kind and numbers of a head other than a linear layer; empty: linear. See
            `vocscore.models.head_spec`.
        origin: where the network is from, as text for the user: its license, its source.
        onnx: how the network takes images, if it is an ONNX file; then `backbone` is 'onnx'.
    """

    backbone: str
    classes: tuple[str, ...]
    preprocess: Preprocess
    threshold: float
    weights: str
    thresholds: tuple[float, ...] | None = None
    temperature: float = 1.0
    precision: Precision = "float32"
    activation: str = "sigmoid"
    head: Mapping[str, Any] = field(default_factory=dict)
    origin: Mapping[str, str] = field(default_factory=dict)
    onnx: OnnxSignature | None = None

    def __post_init__(self) -> None:
        """Refuse invalid values.

        Raises:
            ValueError: classes missing, duplicated or not names, a threshold outside 0 to 1 or not
                one per class, or a temperature that is not above 0.
        """
        self._check_texts()
        if self.thresholds is not None and len(self.thresholds) != len(self.classes):
            raise ValueError(f"{len(self.thresholds)} thresholds for {len(self.classes)} classes")
        limits = [(self.threshold, 1.0), *((value, _LARGEST) for value in self.thresholds or ())]
        for threshold, limit in limits:
            if not (isinstance(threshold, (int, float)) and 0 <= threshold <= limit):
                raise ValueError(f"threshold must be from 0 to 1, got {threshold!r}")
        if not (isinstance(self.temperature, (int, float)) and 0 < self.temperature < _LARGEST):
            raise ValueError(f"temperature must be above 0, got {self.temperature!r}")
        if self.precision not in ("float32", "bf16"):
            raise ValueError(f"precision must be float32 or bf16, got {self.precision!r}")
        if self.activation not in ACTIVATIONS:
            known = ", ".join(ACTIVATIONS)
            raise ValueError(f"activation must be one of {known}, got {self.activation!r}")
        parse_head(self.head)
        if self.activation == "none" and self.temperature != 1:
            raise ValueError("without an activation the temperature must be 1")

    def _check_texts(self) -> None:
        names = self.classes
        if not names or not all(isinstance(n, str) and n for n in names):
            raise ValueError(f"classes must be names, got {names!r}")
        if len(set(names)) != len(names):
            twice = next(n for n in names if names.count(n) > 1)
            raise ValueError(f"class {twice!r} occurs twice")
        if not isinstance(self.backbone, str) or not isinstance(self.weights, str):
            raise TypeError("backbone and weights must be text")
        if not all(isinstance(part, str) for pair in self.origin.items() for part in pair):
            raise TypeError(f"origin must be texts, got {self.origin!r}")
        if (self.backbone == ONNX) != (self.onnx is not None):
            raise ValueError("only a card of the backbone 'onnx' has 'onnx', and each of them has")

    @property
    def format(self) -> int:
        """The oldest format that can represent this card."""
        if self.onnx is not None:
            return EXTENDED_FORMAT
        if self.activation != "sigmoid" or self.head or not self.preprocess.squashes:
            return EXTENDED_FORMAT
        plain = self.thresholds is None and self.temperature == 1
        return PLAIN_FORMAT if plain else FITTED_FORMAT

    @property
    def head_spec(self) -> HeadSpec | None:
        """The head; None: a linear layer."""
        return parse_head(self.head)

    @property
    def decision_threshold(self) -> float | tuple[float, ...]:
        """The probability at which a class is predicted: one number, or one per class."""
        return self.threshold if self.thresholds is None else self.thresholds

    def probabilities(self, logits: torch.Tensor) -> torch.Tensor:
        """Turn logits, shape (N, C), into float32 probabilities of the same shape."""
        return probabilities(logits, self.temperature, self.activation)

    def decide(self, probabilities: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Return which classes are predicted by the card's thresholds; both of shape (N, C)."""
        return decide(probabilities, self.decision_threshold, self.activation)

    def to_json(self) -> dict[str, Any]:
        """Return plain values; values that were not fitted, and usual ones, have no key."""
        more: dict[str, Any] = {}
        if self.thresholds is not None or self.temperature != 1:
            thresholds = None if self.thresholds is None else list(self.thresholds)
            more = {"thresholds": thresholds, "temperature": self.temperature}
        if self.activation != "sigmoid":
            more["activation"] = self.activation
        if self.head:
            more["head"] = dict(self.head)
        if self.origin:
            more["origin"] = dict(self.origin)
        return {
            "backbone": self.backbone,
            "classes": list(self.classes),
            "preprocess": self.preprocess.to_json(),
            "threshold": self.threshold,
            "weights": self.weights,
            "precision": self.precision,
            **more,
            **({} if self.onnx is None else {"onnx": self.onnx.to_json()}),
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> ModelCard:
        """Create a card from the output of `to_json`; unknown keys are ignored.

        Raises:
            KeyError, TypeError, ValueError: a value is missing or invalid.
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
            activation=value.get("activation", "sigmoid"),
            head=dict(value.get("head", {})),
            origin=dict(value.get("origin", {})),
            onnx=None if value.get("onnx") is None else OnnxSignature.from_json(value["onnx"]),
        )


def require_features(card: ModelCard, folder: Path) -> None:
    """Refuse a model that has no features before a head.

    Raises:
        CheckpointError: it is an imported classifier with its own last layers.
    """
    if card.head.get("kind") == OWN:
        raise CheckpointError(
            f"{folder}: an imported classifier whose own last layers are kept, so that it has no "
            "features before a head. Train a head on its weights: 'vocscore train' with `weights`."
        )


def _preprocess(value: dict[str, Any]) -> Preprocess:
    """Create a Preprocess from JSON, and check types: 256 could be 256.5 or "256"."""
    made = Preprocess.from_json(value)
    numbers = (*made.mean, *made.std, made.crop_fraction)
    if not isinstance(made.size, int) or isinstance(made.size, bool):
        raise TypeError(f"preprocess size must be whole pixels, got {made.size!r}")
    if not isinstance(made.upright, bool):
        raise TypeError(f"preprocess upright must be true or false, got {made.upright!r}")
    # Compared, not converted: integers in JSON may exceed any float.
    if not all(type(n) in (int, float) and -_LARGEST < n < _LARGEST for n in numbers):
        raise TypeError(f"preprocess mean and std must be numbers, got {numbers!r}")
    return made
