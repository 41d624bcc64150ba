"""Scores several views of each image and averages what the network says of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from vocscore.pipeline.several_sizes import unpack
from vocscore.runtime.base import Runtime

if TYPE_CHECKING:
    from collections.abc import Mapping

    import torch
    from numpy.typing import NDArray

    from vocscore.runtime.base import Results
    from vocscore.runtime.finishing import Finish


class TtaRuntime(Runtime):
    """A `Runtime` that averages the outputs of the views of an image.

    The mean is that of logits, before the sigmoid. Features are averaged in the same way, so that a
    linear head still gives the averaged logits.

    Args:
        runtimes: size of a view, pixels -> the network for it, without the final sigmoid.
        flip: whether each size is also scored mirrored.
        finish: applied to the mean; None leaves it unchanged.
        features: columns of features after the probabilities.
    """

    def __init__(
        self,
        runtimes: Mapping[int, Runtime],
        *,
        flip: bool,
        finish: Finish | None,
        features: int = 0,
    ) -> None:
        self._runtimes = dict(runtimes)
        self._flip = flip
        self._finish = finish
        self.features = features
        passes = len(self._runtimes) * (2 if flip else 1)
        most = max(runtime.in_flight for runtime in self._runtimes.values())
        self.in_flight = 1 + max(1, -(-(most - 1) // passes))  # each of them is several batches
        self.at_once = self.in_flight - 1

    def submit(self, images: torch.Tensor) -> Results:
        """Start computing every view; see `Runtime.submit`.

        Args:
            images: of one size, or packed by `several_sizes.pack`.
        """
        started: list[Results] = []
        parts = unpack(images, list(self._runtimes))
        for runtime, part in zip(self._runtimes.values(), parts, strict=True):
            started.append(runtime.submit(part))
            if self._flip:
                started.append(runtime.submit(part.flip(-1)))

        def results() -> NDArray[np.float32]:
            mean = started[0]()
            for one in started[1:]:
                mean = mean + one()
            mean = mean / np.float32(len(started))
            return mean if self._finish is None else self._finish(mean)

        return results
