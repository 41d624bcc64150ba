"""The preprocessing as a value: stored in the checkpoint, used by all three loaders."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, Final

from vocscore.config.model import FITS, INTERPOLATIONS, MAX_SIZE, enlarges

if TYPE_CHECKING:
    import torch

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
FIT_FIELDS: Final = ("fit", "interpolation", "crop_fraction", "pad_color")
"""How an image becomes a square. Cards of older versions lack these fields; at their defaults they
are not written."""


@dataclass(frozen=True, slots=True)
class Preprocess:
    """Decode to RGB, turn upright, resize to a square, normalize.

    The resize is antialiased (a filter as wide as the reduction). How an image becomes a square is
    `fit`: 'squash' resizes both sides to `size` pixels, which changes the aspect ratio; 'crop'
    resizes the shorter side to `size / crop_fraction` pixels and takes the center; 'pad' resizes
    the longer side to `size` pixels and fills the rest with a color (letterbox).

    The loaders agree within tolerances; large JPEGs are decoded at a reduced size, by a rule that
    depends only on their size and `size` (`shards.images.jpeg.reduction`).

    Attributes:
        size: height and width of the result, pixels.
        upright: whether an image is turned by its EXIF orientation.
        mean: per channel (R, G, B), of pixel values scaled to 0..1.
        std: per channel, of the same values.
        fit: 'squash', 'crop' or 'pad'.
        interpolation: 'bilinear' (a triangle filter) or 'bicubic' (Keys, a = -0.5).
        crop_fraction: of 'crop': the part of the shorter side that is kept, above 0 to 1.
        pad_color: of 'pad': R, G, B of the border, 0 to 255.

    Source: mean and std of ImageNet as torchvision's weights document them.
    """

    size: int = 256
    upright: bool = True
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    fit: str = "squash"
    interpolation: str = "bilinear"
    crop_fraction: float = 1.0
    pad_color: tuple[int, int, int] = (0, 0, 0)

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        if not 1 <= self.size <= MAX_SIZE:
            raise ValueError(f"size must be 1 to {MAX_SIZE} pixels, got {self.size}")
        if len(self.mean) != 3 or len(self.std) != 3 or min(self.std) <= 0:
            raise ValueError(f"mean {self.mean} and std {self.std} need three values, std above 0")
        if self.fit not in FITS:
            raise ValueError(f"fit must be one of {', '.join(FITS)}, got {self.fit!r}")
        if self.interpolation not in INTERPOLATIONS:
            known = " or ".join(INTERPOLATIONS)
            raise ValueError(f"interpolation must be {known}, got {self.interpolation!r}")
        if not 0 < self.crop_fraction <= 1:
            raise ValueError(f"crop fraction must be above 0 to 1, got {self.crop_fraction!r}")
        if enlarges(self.size, self.crop_fraction):
            raise ValueError(
                f"crop fraction {self.crop_fraction:g} would enlarge the shorter side to more than "
                f"{MAX_SIZE} pixels"
            )
        color = self.pad_color
        if len(color) != 3 or not all(type(v) is int and 0 <= v <= 255 for v in color):
            raise ValueError(f"pad color must be three whole numbers, 0 to 255, got {color!r}")
        if self.fit != "crop" and self.crop_fraction != 1:
            raise ValueError("a crop fraction other than 1 needs fit 'crop'")
        if self.fit != "pad" and any(color):
            raise ValueError("a pad color needs fit 'pad'")

    @property
    def squashes(self) -> bool:
        """Whether images are resized as cards written before `fit` and `interpolation` mean."""
        return self.fit == "squash" and self.interpolation == "bilinear"

    def normalize(self, images: torch.Tensor) -> torch.Tensor:
        """Turn pixels into the network's input, on their device.

        Args:
            images: uint8, shape (N, 3, H, W).

        Returns:
            float32, same shape and memory format: (pixel / 255 - mean) / std.
        """
        import torch  # not at the top: cards are read before torch is imported

        from vocscore.pipeline.devices import bring

        mean, std = bring(torch.tensor([self.mean, self.std]).mul(255), images.device)
        scale = std.reciprocal()
        # in place: two more batches of float32 would cost as much as the arithmetic
        if not images.is_contiguous(memory_format=torch.channels_last):
            return images.float().sub_(mean.view(1, 3, 1, 1)).mul_(scale.view(1, 3, 1, 1))
        # By rows of R, G, B, R, G, B, ...: along a dimension of size 3, CPU kernels compute three
        # values at a time, which takes nine times as long.
        last = images.permute(0, 2, 3, 1)
        width = images.shape[3]
        rows = last.flatten(2).float().sub_(mean.repeat(width)).mul_(scale.repeat(width))
        return rows.view(last.shape).permute(0, 3, 1, 2)

    def to_json(self) -> dict[str, Any]:
        """Return plain values for the checkpoint."""
        usual = {field.name: field.default for field in fields(self)}
        return {
            name: value
            for name, value in asdict(self).items()
            if name not in FIT_FIELDS or value != usual[name]
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Preprocess:
        """Create a Preprocess from the output of `to_json`.

        Raises:
            TypeError, ValueError: the values are not those of a Preprocess.
        """
        if not isinstance(value, dict):
            raise TypeError(f"a preprocessing must be an object, got {value!r}")
        given: dict[str, Any] = {**value, "mean": tuple(value["mean"]), "std": tuple(value["std"])}
        if "pad_color" in value:
            given["pad_color"] = tuple(value["pad_color"])
        return cls(**given)
