"""Compares a run with the original that it was made from, on the same images."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np
import torch

from vocscore.errors import ImportModelError
from vocscore.exporting.decoded_images import decoded
from vocscore.exporting.images import drawn_in, found_below
from vocscore.models.card_file import checkpoint_hash
from vocscore.runtime.load import open_checkpoint

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from shards.sample import ImageRef
    from vocscore.config.importing import ComparisonConfig
    from vocscore.importing.imported import Imported

MOST_DIFFERENCE = 1e-3
"""Largest accepted difference of a probability in float32; outputs without an activation may be
larger than 1, and then differ by this share of the largest."""
GROUP = 32
"""Images per batch, as in scoring."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """A run compared with its original.

    Attributes:
        images: number of images.
        source: of these images, in words.
        largest: largest difference of a probability between both.
        range: largest difference of a class's probability between two images.
    """

    images: int
    source: str
    largest: float
    range: float


def compare(
    folder: Path,
    imported: Imported,
    config: ComparisonConfig,
    *,
    on_images: Callable[[int, int], None] | None,
) -> Comparison:
    """Score images with a run and with its original.

    Args:
        folder: the run.
        imported: has the original.
        config: the images.
        on_images: called with the number of images compared so far, and the total.

    Returns:
        What was found.

    Raises:
        ImportModelError: the difference is too large, or no image can be decoded.
        ExportError: the folder has no images.
    """
    with _images(config) as (images, source):
        identity = checkpoint_hash(folder)
        runtime, card = open_checkpoint(
            folder, identity=identity, device="cpu", precision="float32", group=GROUP
        )
        compared, largest = 0, 0.0
        low, high = np.full(len(card.classes), np.inf), np.full(len(card.classes), -np.inf)
        for pixels in decoded(
            images, card, batch_size=GROUP, max_pixels=config.max_pixels, refuse=_refuse
        ):
            outputs = torch.from_numpy(np.ascontiguousarray(imported.original(pixels)))
            expected = (outputs if imported.activated else card.probabilities(outputs)).numpy()
            found = runtime.probabilities(pixels)
            _refuse_shapes(expected, found)
            largest = float(np.maximum(largest, np.abs(found - expected).max()))
            low = np.minimum(low, expected.min(axis=0))
            high = np.maximum(high, expected.max(axis=0))
            compared += len(pixels)
            if on_images is not None:
                on_images(compared, len(images))
    scale = float(max(1.0, np.abs(low).max(), np.abs(high).max()))
    if not largest <= MOST_DIFFERENCE * scale:  # also true for nan
        raise ImportModelError(
            f"the run's outputs differ from those of {imported.library} by up to {largest:.2g} on "
            f"{compared} images ({source}; {MOST_DIFFERENCE * scale:g} is allowed). Nothing was "
            "written."
        )
    return Comparison(compared, source, largest, float((high - low).max()))


@contextmanager
def _images(config: ComparisonConfig) -> Iterator[tuple[Sequence[ImageRef], str]]:
    """Yield the images and their source; drawn images are deleted at the end."""
    if config.images is not None:
        yield found_below(config.images, most=config.check_images), str(config.images)
        return
    with TemporaryDirectory(prefix="vocscore-") as place:
        yield drawn_in(Path(place), number=config.check_images), "drawn by the program"


def _refuse(why: str) -> ImportModelError:
    return ImportModelError(
        f"{why}, and the run is compared with the original on images. Name others with `images`, "
        "or omit it."
    )


def _refuse_shapes(expected: np.ndarray, found: np.ndarray) -> None:
    """Refuse outputs of another shape than the run's, as of a model without one per class."""
    if expected.shape != found.shape:
        raise ImportModelError(
            f"the original has outputs of shape {expected.shape[1:]} per image, but there are "
            f"{found.shape[1]} classes."
        )
