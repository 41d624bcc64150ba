"""The features of a backbone beside the probabilities of its head."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.fx
from torch import nn

from vocscore.runtime.base import Runtime

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vocscore.models.network import Network
    from vocscore.runtime.base import Results


class WithFeatures(nn.Module):
    """A network that also returns its backbone's features.

    Args:
        network: a backbone and a head.
    """

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Normalized float32 images (N, 3, S, S) -> logits (N, C), features (N, F)."""
        found = self.network.backbone(images)
        return self.network.head(found), pooled(found)


class Joined(nn.Module):
    """The same as one tensor, (N, C + F): torch.fx compares the outputs of modules by it.

    Args:
        network: a backbone and a head.
    """

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.both = WithFeatures(network)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Normalized float32 images (N, 3, S, S) -> (N, C + F): logits, features."""
        return torch.cat(self.both(images), dim=1)


class Pooled(nn.Module):
    """A backbone that returns features (N, F), also if it has a map for its head.

    Args:
        backbone: of a network.
    """

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Normalized float32 images (N, 3, S, S) -> features (N, F)."""
        return pooled(self.backbone(images))


def pooled(found: torch.Tensor) -> torch.Tensor:
    """Return features (N, F): the mean over the places of a map (N, F, H, W), or as they are."""
    return found if found.dim() == 2 else found.flatten(2).mean(-1)


torch.fx.wrap("pooled")  # not traced into, because it branches; otherwise nothing would be fused


class TwoPasses(Runtime):
    """A `Runtime` of two: the probabilities of one, then the features of the other.

    Args:
        scores: float32 (N, C).
        features: float32 (N, F) in its last columns.
        width: F.
    """

    def __init__(self, scores: Runtime, features: Runtime, *, width: int) -> None:
        self._scores = scores
        self._features = features
        self.features = width
        self.in_flight = min(scores.in_flight, features.in_flight)
        self.at_once = min(scores.at_once, features.at_once)

    def submit(self, images: torch.Tensor) -> Results:
        """Start computing a batch; see `Runtime.submit`."""
        scores, features = self._scores.submit(images), self._features.submit(images)

        def results() -> NDArray[np.float32]:
            return np.concatenate([scores(), features()[:, -self.features :]], axis=1)

        return results


def same_probabilities(plain: Runtime, both: Runtime, images: torch.Tensor) -> bool:
    """Whether a network with a second output computes the same probabilities, to the bit.

    A compiler may compute the layers before an output differently if their values are needed
    elsewhere too. The order in which a kernel adds depends on shapes, not on values.

    Args:
        plain: float32 (N, C).
        both: float32 (N, C + F).
        images: uint8, a full batch.
    """
    expected, found = plain.probabilities(images), both.probabilities(images)
    return np.array_equal(expected, found[:, : expected.shape[1]])
