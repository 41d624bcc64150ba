"""The preprocessing of an imported model: its authors' own, with the user's changes."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from vocscore.config.importing import three_numbers
from vocscore.errors import ImportModelError, OptionError
from vocscore.pipeline.geometry import in_words as fit_in_words
from vocscore.pipeline.preprocess import Preprocess

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vocscore.config.importing import PreprocessingConfig

HALF = (0.5, 0.5, 0.5)
_DEFAULT = {
    "mean": (0.485, 0.456, 0.406),
    "std": (0.229, 0.224, 0.225),
    "input_size": (3, 224, 224),
    "interpolation": "bicubic",
    "crop_pct": 0.875,
    "crop_mode": "center",
}
"""What timm uses where a model's configuration says nothing."""


def torchvision_preprocess(backbone: str) -> Preprocess:
    """Return the preprocessing of torchvision's own weights of a classifier.

    `googlenet` and `inception_v3` convert ImageNet's normalization to mean and standard deviation
    0.5 inside the model if torchvision built them with pretrained weights (`transform_input`); here
    images are normalized in this way directly.
    """
    import torchvision.models

    from vocscore.models.network import AUXILIARY_HEADS

    choices = torchvision.models.get_model_weights(backbone)
    preset = choices.__members__.get("IMAGENET1K_V1", choices.DEFAULT).transforms()
    size, short = preset.crop_size[0], preset.resize_size[0]
    half = backbone in AUXILIARY_HEADS
    return Preprocess(
        size=size,
        mean=HALF if half else tuple(preset.mean),
        std=HALF if half else tuple(preset.std),
        fit="crop",
        interpolation=preset.interpolation.value,
        crop_fraction=fraction_of(size, short),
    )


def timm_preprocess(
    settings: Mapping[str, Any], *, origin: str, asked: PreprocessingConfig | None = None
) -> Preprocess:
    """Return the preprocessing of timm's `pretrained_cfg`.

    Args:
        settings: mean, std, input_size, interpolation, crop_pct, crop_mode; any may be absent.
        origin: name of the file, for errors.
        asked: what the user gave; its fit and interpolation replace those of the settings.

    Raises:
        ImportModelError: a value is not of its kind, or images are cut in another way.
    """
    given = {name: value for name, value in settings.items() if value is not None}
    found: dict[str, Any] = {name: given.get(name, usual) for name, usual in _DEFAULT.items()}
    try:
        channels, height, width = (int(value) for value in found["input_size"])
        share = float(found["crop_pct"])
        mean, std = (_three(found[name]) for name in ("mean", "std"))
    except (TypeError, ValueError) as error:
        raise ImportModelError(f"{origin}: not timm's preprocessing ({error}).") from error
    if not all(map(math.isfinite, (*mean, *std, share))):
        raise ImportModelError(f"{origin}: not timm's preprocessing (a number is not finite).")
    if channels != 3 or height != width:
        raise ImportModelError(
            f"{origin}: takes images of {channels} channels, {height}x{width} pixels. Only square "
            "RGB images are supported."
        )
    own_fit = "crop" if found["crop_mode"] == "center" else None
    if share == 1:  # otherwise it would be cut after that
        own_fit = {"squash": "squash", "border": "pad"}.get(str(found["crop_mode"]), own_fit)
    fit = (asked and asked.fit) or own_fit
    if fit is None:
        raise ImportModelError(
            f"{origin}: fits images by crop_mode {found['crop_mode']!r} with crop_pct {share:g}, "
            "which is not supported. Choose another with `fit`."
        )
    interpolation = (asked and asked.interpolation) or str(found["interpolation"])
    try:
        return Preprocess(
            size=height,
            mean=mean,
            std=std,
            fit=fit,
            interpolation="bilinear" if interpolation == "random" else interpolation,
            crop_fraction=share if fit == "crop" else 1.0,
            pad_color=_bytes(mean) if fit == "pad" else (0, 0, 0),
        )
    except ValueError as error:
        raise ImportModelError(f"{origin}: {error}.") from error


def _bytes(color: tuple[float, ...]) -> tuple[int, int, int]:
    red, green, blue = (min(255, max(0, round(255 * value))) for value in color)
    return red, green, blue


def _three(values: Any) -> tuple[float, float, float]:
    red, green, blue = (float(value) for value in values)
    return red, green, blue


def fraction_of(size: int, side: int) -> float:
    """Return the crop fraction that resizes the shorter side to a number of pixels, exactly."""
    found = size / side
    while int(size / found) < side:  # rounding has made it too large
        found = math.nextafter(found, 0)
    return found


def changed(own: Preprocess, config: PreprocessingConfig) -> Preprocess:
    """Apply the options that the user gave.

    Raises:
        OptionError: two of them contradict each other, or a value is out of range.
    """
    given: dict[str, Any] = {
        name: getattr(config, name)
        for name in ("size", "fit", "interpolation", "crop_fraction")
        if getattr(config, name) is not None
    }
    for name in ("mean", "std"):
        if getattr(config, name) is not None:
            given[name] = three_numbers(getattr(config, name), name=name)
    fit = given.get("fit", own.fit)
    if fit != "crop" and config.crop_fraction is not None:
        raise OptionError("`crop_fraction` needs `fit='crop'`.")
    if fit != "crop":
        given["crop_fraction"] = 1.0
    if fit != own.fit:  # the border has the mean color, which becomes 0
        given["pad_color"] = _bytes(given.get("mean", own.mean)) if fit == "pad" else (0, 0, 0)
    try:
        return replace(own, **given)
    except ValueError as error:
        raise OptionError(f"{error}.") from error


def in_words(preprocess: Preprocess) -> str:
    """Describe a preprocessing in one line."""
    mean, std = (
        ",".join(f"{value:g}" for value in values) for values in (preprocess.mean, preprocess.std)
    )
    return f"{fit_in_words(preprocess)}; mean {mean}, std {std}"
