"""The preprocessing of a training: asked for, else what the weights expect."""

from __future__ import annotations

import pytest

from vocscore.config.model import ModelConfig
from vocscore.errors import OptionError
from vocscore.models.fit_choice import chosen_preprocess
from vocscore.pipeline.preprocess import Preprocess

MEAN_COLOR = (124, 116, 104)
"""255 times ImageNet's mean, rounded."""
LITE0 = "timm/tf_efficientnet_lite0"


def chosen(**given: object) -> Preprocess:
    values = {"backbone": "resnet18", "weights": "none", "size": 64, **given}
    return chosen_preprocess(ModelConfig(**values))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given", "want"),
    [
        ({}, {}),
        ({"fit": "squash", "interpolation": "bicubic"}, {"interpolation": "bicubic"}),
        ({"fit": "crop"}, {"fit": "crop", "crop_fraction": 0.875}),
        ({"fit": "crop", "crop_fraction": 1.0}, {"fit": "crop"}),
        ({"fit": "pad"}, {"fit": "pad", "pad_color": MEAN_COLOR}),
        ({"fit": "pad", "pad_color": "0, 1,255"}, {"fit": "pad", "pad_color": (0, 1, 255)}),
    ],
)
def test_what_is_asked_for(given: dict[str, object], want: dict[str, object]) -> None:
    """What is not, is usual."""
    assert chosen(**given) == Preprocess(size=64, **want)  # type: ignore[arg-type]


def test_a_crop_of_timms_models_is_their_own() -> None:
    """Fraction and interpolation are those of timm's evaluation; squashing stays bilinear."""
    half = (0.5, 0.5, 0.5)
    squashed = Preprocess(size=64, mean=half, std=half)
    assert chosen(backbone=LITE0) == squashed
    assert chosen(backbone=LITE0, fit="crop") == Preprocess(
        size=64, mean=half, std=half, fit="crop", crop_fraction=0.875, interpolation="bicubic"
    )
    assert chosen(backbone=LITE0, fit="crop", interpolation="bilinear", crop_fraction=0.5) == (
        Preprocess(size=64, mean=half, std=half, fit="crop", crop_fraction=0.5)
    )


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"crop_fraction": 0.5}, "crop_fraction"),
        ({"fit": "pad", "crop_fraction": 0.5}, "crop_fraction"),
        ({"fit": "crop", "pad_color": "1,2,3"}, "pad_color"),
        ({"pad_color": "1,2,3"}, "pad_color"),
        ({"fit": "pad", "pad_color": "1,2"}, "three whole numbers"),
        ({"fit": "pad", "pad_color": "1,2,256"}, "three whole numbers"),
        ({"fit": "pad", "pad_color": "red"}, "three whole numbers"),
        ({"fit": "stretch"}, "one of squash, crop, pad"),
    ],
)
def test_what_contradicts_itself_is_refused(given: dict[str, object], said: str) -> None:
    """The option is named."""
    with pytest.raises(OptionError, match=said):
        chosen(**given)
