"""The options of `vocscore quantize` and `vocscore export`."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from vocscore.config.compute import max_pixels_option
from vocscore.config.option import Group, option
from vocscore.errors import OptionError


def _shards_option(use: str) -> Any:
    return option(None, help=use, metavar="SHARDS", unset="those RUN was trained on")


def _split_option(more: str = "") -> Any:
    return option(
        None,
        help=f"Split of SHARDS, or several joined by commas.{more}",
        metavar="NAME[,NAME]",
        unset="that of RUN's validation",
    )


@dataclass(frozen=True, kw_only=True)
class CalibrationConfig(Group):
    """The images that 8-bit ranges are taken from, and that both models are measured on."""

    title: ClassVar[str] = "Data"

    shards: Path | None = _shards_option("Packed images to calibrate and to measure with.")
    split: str | None = _split_option(" Not one that the model was trained on.")
    calibration_images: int = option(
        256,
        help="Images from which the ranges of the 8 bits are taken.",
        metavar="IMAGES",
        minimum=1,
    )
    max_pixels: int = max_pixels_option("is refused")


@dataclass(frozen=True, kw_only=True)
class AcceptanceConfig(Group):
    """How close an 8-bit model has to be to float32."""

    title: ClassVar[str] = "Acceptance"

    max_map_drop: float = option(
        0.005,
        help="Write nothing if the mean average precision falls by more.",
        metavar="SHARE",
        minimum=0,
        maximum=1,
    )
    max_changed: float = option(
        0.01,
        help="Write nothing if a larger share of the decisions at the thresholds changes.",
        metavar="SHARE",
        minimum=0,
        maximum=1,
    )


@dataclass(frozen=True, kw_only=True)
class QuantizeConfig:
    """Everything about a quantization but the model."""

    data: CalibrationConfig = field(default_factory=CalibrationConfig)
    acceptance: AcceptanceConfig = field(default_factory=AcceptanceConfig)


@dataclass(frozen=True, kw_only=True)
class CheckConfig(Group):
    """The images that an exported model is checked on."""

    title: ClassVar[str] = "Check"

    shards: Path | None = _shards_option("Check the new model on these packed images.")
    split: str | None = _split_option()
    images: Path | None = option(
        None,
        help="Check it on the images in this folder, in place of shards.",
        metavar="DIR",
    )
    drawn: bool = option(
        False,
        help="Check it on synthetic images that the program draws: for when the shards cannot be "
        "reached and no photographs are at hand.",
    )
    check_images: int = option(64, help="Check on this many, at most.", metavar="IMAGES", minimum=1)
    max_pixels: int = max_pixels_option("is left out of the check")

    def __post_init__(self) -> None:
        """Check the values, and that the images come from one place."""
        super().__post_init__()
        if sum((self.shards is not None, self.images is not None, self.drawn)) > 1:
            raise OptionError("{shards}, {images} and {drawn}: give one of them.")


@dataclass(frozen=True, kw_only=True)
class ModelFileConfig(Group):
    """What is done about the exported file."""

    title: ClassVar[str] = "Output"

    overwrite: bool = option(False, help="Replace a model that is already at FILE.")


@dataclass(frozen=True, kw_only=True)
class ExportConfig:
    """Everything about an export but the model and the file."""

    check: CheckConfig = field(default_factory=CheckConfig)
    output: ModelFileConfig = field(default_factory=ModelFileConfig)
