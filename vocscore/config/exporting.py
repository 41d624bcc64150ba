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
        unset="the validation split of RUN",
    )


@dataclass(frozen=True, kw_only=True)
class CalibrationConfig(Group):
    """The images for the calibration, and for comparing both models."""

    title: ClassVar[str] = "Data"

    shards: Path | None = _shards_option("Packed images for calibration and comparison.")
    split: str | None = _split_option(" It should not contain training images.")
    calibration_images: int = option(
        256,
        help="Images for the calibration of the 8-bit ranges.",
        metavar="IMAGES",
        minimum=1,
    )
    max_pixels: int = max_pixels_option("is refused")


@dataclass(frozen=True, kw_only=True)
class AcceptanceConfig(Group):
    """How close an 8-bit model must be to float32."""

    title: ClassVar[str] = "Acceptance"

    max_map_drop: float = option(
        0.005,
        help="Write nothing if the mean average precision drops by more than this.",
        metavar="SHARE",
        minimum=0,
        maximum=1,
    )
    max_changed: float = option(
        0.01,
        help="Write nothing if more than this share of the decisions at the thresholds changes.",
        metavar="SHARE",
        minimum=0,
        maximum=1,
    )


@dataclass(frozen=True, kw_only=True)
class QuantizeConfig:
    """All settings of a quantization, except the model."""

    data: CalibrationConfig = field(default_factory=CalibrationConfig)
    acceptance: AcceptanceConfig = field(default_factory=AcceptanceConfig)


@dataclass(frozen=True, kw_only=True)
class CheckConfig(Group):
    """The images that an exported model is checked on."""

    title: ClassVar[str] = "Check"

    shards: Path | None = _shards_option("Check the exported model on these packed images.")
    split: str | None = _split_option()
    images: Path | None = option(
        None,
        help="Check it on the images in this folder instead of shards.",
        metavar="DIR",
    )
    drawn: bool = option(
        False,
        help="Check it on synthetic images drawn by the program, if neither shards nor photographs "
        "are available.",
    )
    check_images: int = option(
        64, help="Largest number of images for the check.", metavar="IMAGES", minimum=1
    )
    max_pixels: int = max_pixels_option("is left out of the check")

    def __post_init__(self) -> None:
        """Check the values, and that there is one source of images."""
        super().__post_init__()
        if sum((self.shards is not None, self.images is not None, self.drawn)) > 1:
            raise OptionError("`shards`, `images` and `drawn`: give only one of them.")


@dataclass(frozen=True, kw_only=True)
class ModelFileConfig(Group):
    """Options of the exported file."""

    title: ClassVar[str] = "Output"

    overwrite: bool = option(False, help="Replace an existing FILE.")


@dataclass(frozen=True, kw_only=True)
class ExportConfig:
    """All settings of an export, except the model and the file."""

    check: CheckConfig = field(default_factory=CheckConfig)
    output: ModelFileConfig = field(default_factory=ModelFileConfig)
