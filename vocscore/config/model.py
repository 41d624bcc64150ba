"""The options of a network: backbone, weights, head, and how an image becomes its input."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final

from vocscore.config.option import Group, option
from vocscore.errors import OptionError

FITS: Final = ("squash", "crop", "pad")
INTERPOLATIONS: Final = ("bilinear", "bicubic")
MAX_SIZE: Final = 16384
"""Pixels per side of a network's input; a batch of larger images does not fit into memory."""


USUAL_FRACTION: Final = 0.875
"""Of a center crop: 224 pixels of 256, with which most ImageNet classifiers are evaluated."""


def enlarges(size: int, crop_fraction: float) -> bool:
    """Whether a center crop would first enlarge an image beyond all use, and memory."""
    return size / crop_fraction > max(MAX_SIZE, 2 * size)


@dataclass(frozen=True, kw_only=True)
class ModelConfig(Group):
    """The network and its initial weights."""

    title: ClassVar[str] = "Model"

    backbone: str = option(
        "resnet18",
        help="resnet18, alexnet, googlenet, or any other torchvision classifier; or timm/NAME, any "
        "model of timm, which needs pip install 'vocscore[timm]'.",
        metavar="NAME",
    )
    weights: str = option(
        "imagenet",
        help="Initial weights of the backbone: torchvision's ImageNet weights or timm's weights of "
        "the model (downloaded once), none (random), a run of this program, or a file with the "
        "library's state dict, written by torch.save or safetensors, also inside a training "
        "checkpoint (the moving average of the weights is used if there is one; no code in the "
        "file is run).",
        metavar="imagenet|none|FILE|RUN",
    )
    size: int = option(
        256,
        help="Height and width to which images are resized; stored in the checkpoint.",
        metavar="PIXELS",
        minimum=1,
        maximum=MAX_SIZE,
    )
    head: str = option(
        "linear",
        help="linear; csra: residual attention over the places of the backbone's last map; gcn: "
        "linear, its weights computed from a graph of the labels; chain: linear, each class "
        "corrected by the others. All but linear need {tune} head.",
        choices=("linear", "csra", "gcn", "chain"),
    )
    csra_lambda: float | None = option(
        None,
        help="With {head} csra: weight of attention beside the mean over places.",
        metavar="NUMBER",
        unset="the best of 0, 0.1, 0.2, 0.3, 0.5 and 1 on the validation split",
        minimum=0,
    )
    csra_temperature: float = option(
        99.0,
        help="With {head} csra: temperature of the softmax over places; 99: the maximum.",
        metavar="NUMBER",
        above=0,
    )
    fit: str | None = option(
        None,
        help="How an image becomes a square, stored in the checkpoint: squash resizes both sides, "
        "which changes the aspect ratio; crop resizes the shorter side and takes the center; pad "
        "resizes the longer side and fills the rest.",
        unset="that of a run given as weights, else squash",
        choices=FITS,
    )
    interpolation: str | None = option(
        None,
        help="Filter of the resize, antialiased; stored in the checkpoint.",
        unset="that of a run given as weights, else for crop or pad that of the timm model, else "
        "bilinear",
        choices=INTERPOLATIONS,
    )
    crop_fraction: float | None = option(
        None,
        help="With {fit} crop: {size} divided by the length to which the shorter side is resized.",
        metavar="FRACTION",
        unset="that of a run given as weights or of the timm model, else 0.875",
        above=0,
        maximum=1,
    )
    pad_color: str | None = option(
        None,
        help="With {fit} pad: red, green and blue of the border, 0 to 255.",
        metavar="R,G,B",
        unset="the mean color that the weights expect",
    )
    threshold: float = option(
        0.5,
        help="A class is predicted at or above this probability; stored in the checkpoint.",
        metavar="PROBABILITY",
        minimum=0,
        maximum=1,
    )

    def __post_init__(self) -> None:
        """Check the values, and refuse those of another head or fit."""
        super().__post_init__()
        if self.head != "csra":
            for name in ("csra_lambda", "csra_temperature"):
                if getattr(self, name) != getattr(ModelConfig, name):
                    raise OptionError(f"`{name}` needs `head='csra'`.")
        if self.crop_fraction is not None and self.fit not in (None, "crop"):
            raise OptionError("`crop_fraction` needs `fit='crop'`.")
        if enlarges(self.size, self.crop_fraction or 1.0):
            raise OptionError(
                f"`crop_fraction={self.crop_fraction:g}` would enlarge the shorter side to more "
                f"than {MAX_SIZE} pixels."
            )
        if self.pad_color is not None:
            parse_color(self.pad_color)
            if self.fit not in (None, "pad"):
                raise OptionError("`pad_color` needs `fit='pad'`.")


def parse_color(text: str) -> tuple[int, int, int]:
    """Read red, green and blue, each 0 to 255.

    Raises:
        OptionError: it is anything else.
    """
    parts = text.split(",")
    if len(parts) == 3 and all(p.strip().isascii() and p.strip().isdigit() for p in parts):
        red, green, blue = map(int, parts)
        if max(red, green, blue) <= 255:
            return red, green, blue
    raise OptionError(
        f"`pad_color` is {text!r}, but must be three whole numbers from 0 to 255, such as "
        "124,116,104."
    )
