"""The options of `vocscore import-model`."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from vocscore.config.compute import max_pixels_option
from vocscore.config.model import MAX_SIZE
from vocscore.config.option import Group, option
from vocscore.errors import OptionError

_LARGEST = 2.0
"""Means and standard deviations above it are of pixel values from 0 to 255."""


@dataclass(frozen=True, kw_only=True)
class ImportedModelConfig(Group):
    """The network and the meaning of its outputs."""

    title: ClassVar[str] = "Model"

    classes: Path | None = option(
        None,
        help="Text file with the names of the outputs: one class per line, in their order.",
        metavar="FILE",
        unset="those that the model names itself",
    )
    backbone: str | None = option(
        None,
        help="Architecture of a file of weights: a torchvision classifier such as resnet18, or "
        "timm/NAME.",
        metavar="NAME",
        unset="the one that the model names itself",
    )
    activation: str | None = option(
        None,
        help="What turns outputs into probabilities. sigmoid: any number of classes per image. "
        "softmax: one class per image, the most probable one. none: the outputs are used as they "
        "are.",
        unset="the one that the model names itself, else sigmoid",
        choices=("sigmoid", "softmax", "none"),
    )
    threshold: float | None = option(
        None,
        help="A class is predicted at or above this probability; with softmax only the most "
        "probable class can be.",
        metavar="PROBABILITY",
        unset="0.5; with softmax 0",
        minimum=0,
        maximum=1,
    )
    layout: str | None = option(
        None,
        help="Order of the axes of an ONNX file's input: batch, channels, height, width.",
        unset="the one that the graph shows",
        choices=("NCHW", "NHWC"),
    )
    output_name: str | None = option(
        None,
        help="Output of an ONNX file that has one value per class.",
        metavar="NAME",
        unset="the one that fits the classes",
    )


@dataclass(frozen=True, kw_only=True)
class PreprocessingConfig(Group):
    """How images are turned into the network's input."""

    title: ClassVar[str] = "Preprocessing"

    size: int | None = option(
        None,
        help="Height and width of the input.",
        metavar="PIXELS",
        unset="the model's own",
        minimum=1,
        maximum=MAX_SIZE,
    )
    fit: str | None = option(
        None,
        help="How an image becomes a square. squash: both sides are resized. crop: the shorter "
        "side is resized, then the center is cut out. pad: the longer side is resized, and the "
        "rest is filled.",
        unset="the model's own",
        choices=("squash", "crop", "pad"),
    )
    interpolation: str | None = option(
        None,
        help="Filter of the resize, antialiased.",
        unset="the model's own",
        choices=("bilinear", "bicubic"),
    )
    crop_fraction: float | None = option(
        None,
        help="With {fit} crop: share of the shorter side that is kept.",
        metavar="SHARE",
        unset="the model's own",
        above=0,
        maximum=1,
    )
    mean: str | None = option(
        None,
        help="Mean of the channels, of pixel values from 0 to 1.",
        metavar="R,G,B",
        unset="the model's own",
    )
    std: str | None = option(
        None,
        help="Standard deviation of the channels, of pixel values from 0 to 1.",
        metavar="R,G,B",
        unset="the model's own",
    )

    def __post_init__(self) -> None:
        """Check the values, and that mean and std are three numbers."""
        super().__post_init__()
        for name in ("mean", "std"):
            text = getattr(self, name)
            if text is not None:
                three_numbers(text, name=name)


@dataclass(frozen=True, kw_only=True)
class ComparisonConfig(Group):
    """The images on which the run is compared with the original."""

    title: ClassVar[str] = "Comparison"

    images: Path | None = option(
        None,
        help="Compare on the images in this folder.",
        metavar="DIR",
        unset="images drawn by the program",
    )
    check_images: int = option(
        32, help="Largest number of images for the comparison.", metavar="IMAGES", minimum=1
    )
    max_pixels: int = max_pixels_option("is left out of the comparison")


@dataclass(frozen=True, kw_only=True)
class RunFolderConfig(Group):
    """Options of the run folder."""

    title: ClassVar[str] = "Output"

    overwrite: bool = option(False, help="Replace an existing RUN.")


@dataclass(frozen=True, kw_only=True)
class ImportConfig:
    """All settings of an import, except the model and the run folder."""

    model: ImportedModelConfig = field(default_factory=ImportedModelConfig)
    preprocessing: PreprocessingConfig = field(default_factory=PreprocessingConfig)
    comparison: ComparisonConfig = field(default_factory=ComparisonConfig)
    output: RunFolderConfig = field(default_factory=RunFolderConfig)


def three_numbers(text: str, *, name: str) -> tuple[float, float, float]:
    """Read the numbers of three channels: '0.485,0.456,0.406'; one number stands for all.

    Raises:
        OptionError: they are not numbers, or a standard deviation is not above 0.
    """
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    numbers = numbers * 3 if len(numbers) == 1 else numbers
    if len(numbers) != 3 or not all(map(math.isfinite, numbers)):
        raise OptionError(
            f"`{name}` is {text!r}, but must be three numbers with commas: 0.485,0.456,0.406."
        )
    if max(map(abs, numbers)) > _LARGEST:
        raise OptionError(
            f"`{name}` is {text!r}, but is of pixel values from 0 to 1: divide by 255."
        )
    if name == "std" and min(numbers) <= 0:
        raise OptionError(f"`std` is {text!r}, but must be above 0.")
    red, green, blue = numbers
    return red, green, blue
