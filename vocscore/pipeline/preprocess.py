"""The preprocessing as a value: stored in the checkpoint, used by all three loaders."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from vocscore.config.training import MAX_SIZE

if TYPE_CHECKING:
    import torch

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True, slots=True)
class Preprocess:
    """Decode to RGB, turn upright, resize to a square, normalize.

    The resize is bilinear and antialiased (a triangle filter as wide as the reduction) and does
    not keep the aspect ratio: both sides become `size` pixels.

    The loaders agree within tolerances; large JPEGs are decoded at a reduced size, by a rule that
    depends only on their size and `size` (`shards.images.jpeg.reduction`).

    Attributes:
        size: height and width of the result, pixels.
        upright: whether an image is turned by its EXIF orientation.
        mean: per channel (R, G, B), of pixel values scaled to 0..1.
        std: per channel, of the same values.

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

    @property
    def is_new(self) -> bool:
        """Whether older versions would resize in another way."""
        return (self.fit, self.interpolation) != ("squash", "bilinear")

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
        found = asdict(self)
        for name, default in (
            ("fit", "squash"),
            ("interpolation", "bilinear"),
            ("crop_fraction", 1.0),
            ("pad_color", (0, 0, 0)),
        ):
            if found[name] == default:
                del found[name]
        return found

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Preprocess:
        """Create a Preprocess from the output of `to_json`.

        Raises:
            TypeError, ValueError: the values are not those of a Preprocess.
        """
        return cls(**{**value, "mean": tuple(value["mean"]), "std": tuple(value["std"])})
