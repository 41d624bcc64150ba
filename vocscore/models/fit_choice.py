"""Chooses the preprocessing of a training: what was asked for, else what the weights expect."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from vocscore.config.model import USUAL_FRACTION, parse_color
from vocscore.errors import OptionError
from vocscore.models.backbones import is_timm
from vocscore.models.network import input_preprocess
from vocscore.models.timm_models import model_preprocess

if TYPE_CHECKING:
    from vocscore.config.model import ModelConfig
    from vocscore.pipeline.preprocess import Preprocess


def chosen_preprocess(choice: ModelConfig) -> Preprocess:
    """Return the preprocessing of a training.

    Args:
        choice: the model; what is None there is taken from the run in its weights, from timm's own
            configuration of the model, or else is usual.

    Raises:
        CheckpointError: no such backbone, or its weights are missing.
        OptionError: two options contradict each other.
    """
    expected = input_preprocess(choice.backbone, weights=choice.weights, size=choice.size)
    fit = choice.fit or expected.fit
    for value, needs, name in (
        (choice.crop_fraction, "crop", "crop_fraction"),
        (choice.pad_color, "pad", "pad_color"),
    ):
        if value is not None and fit != needs:
            raise OptionError(f"`{name}` needs `fit={needs!r}`.")
    own = expected
    if fit not in ("squash", expected.fit) and is_timm(choice.backbone):
        own = model_preprocess(choice.backbone)
    given: dict[str, Any] = {"crop_fraction": 1.0, "pad_color": (0, 0, 0)}
    if fit == "crop":
        usual = own.crop_fraction if own.fit == "crop" else USUAL_FRACTION
        given["crop_fraction"] = choice.crop_fraction or usual
    elif fit == "pad":
        given["pad_color"] = _pad_color(choice, expected)
    interpolation = choice.interpolation or own.interpolation
    return replace(expected, fit=fit, interpolation=interpolation, **given)


def _pad_color(choice: ModelConfig, expected: Preprocess) -> tuple[int, int, int]:
    if choice.pad_color is not None:
        return parse_color(choice.pad_color)
    if expected.fit == "pad":
        return expected.pad_color
    red, green, blue = (min(255, max(0, round(255 * mean))) for mean in expected.mean)
    return red, green, blue
