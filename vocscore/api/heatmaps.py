"""Heat maps of the classes: computed by the network, and drawn over an image."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image
from torch import nn

from shards import atomic
from shards.images import image_file
from vocscore.api.backbone import open_module
from vocscore.api.inputs import entries, is_one
from vocscore.models.checkpoint import load_network
from vocscore.models.checkpoint_files import take
from vocscore.models.heads.class_maps import class_maps
from vocscore.models.heads.maps import map_shape
from vocscore.pipeline.several_sizes import unpack
from vocscore.runtime.base import Runtime

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from shards.sample import ImageRef
    from vocscore.api.inputs import OneInput
    from vocscore.api.setup import Setup
    from vocscore.runtime.base import Results

_OPAQUE = 0.65
"""Share of the color where the probability is 1."""


def open_class_maps(setup: Setup) -> tuple[Runtime, tuple[int, ...]]:
    """Load a checkpoint to compute class maps, in float32.

    Args:
        setup: how the model was loaded. Of its views only the image as it is counts.

    Returns:
        A runtime whose results are class maps, float32, (N, C h w); and (C, h, w).

    Raises:
        CheckpointError: it is damaged, has changed since the model was loaded, or has no maps.
    """
    files = take(setup.run, identity=setup.identity)
    card, size = files.card, files.card.preprocess.size
    network = load_network(files)
    maps = class_maps(network.backbone, network.head, name=card.backbone, size=size)
    shape = map_shape(maps, size=size)
    flat = nn.Sequential(maps, nn.Flatten())
    runtime = open_module(flat, card.preprocess, device=setup.device, group=setup.group)
    return _OwnSize(runtime, setup.sizes(card)), shape


class _OwnSize(Runtime):
    """Runs a network of the model's own size on images that were decoded in several sizes."""

    def __init__(self, runtime: Runtime, sizes: tuple[int, ...]) -> None:
        self._runtime = runtime
        self._sizes = sizes
        self.in_flight = runtime.in_flight

    def submit(self, images: torch.Tensor) -> Results:
        """Start computing the first of the sizes; see `Runtime.submit`."""
        return self._runtime.submit(unpack(images, self._sizes)[0])


def full_pixels(ref: ImageRef, *, upright: bool, max_pixels: int) -> NDArray[np.uint8]:
    """Decode an image in full: uint8 (H, W, 3).

    Raises:
        BadImage: it cannot be decoded.
        OSError: it cannot be read.
    """
    if ref.pixels is not None:
        return ref.pixels
    content = image_file.read_content(ref, max_pixels=max_pixels)
    if not isinstance(content, bytes):
        return content
    return image_file.decode(content, upright=upright, max_pixels=max_pixels)


def overlay(pixels: NDArray[np.uint8], heat: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Draw a class map over an image.

    The color goes from yellow to red, and covers more, the higher the probability is.

    Args:
        pixels: uint8 (H, W, 3).
        heat: float32 (h, w), logits; enlarged bilinearly.

    Returns:
        uint8 (H, W, 3).
    """
    logits = Image.fromarray(np.asarray(heat, np.float32))
    large = logits.resize((pixels.shape[1], pixels.shape[0]), Image.Resampling.BILINEAR)
    probability = torch.from_numpy(np.array(large)).sigmoid().numpy()[:, :, None]
    color = np.concatenate(
        [np.full_like(probability, 255), 255 * (1 - probability), np.zeros_like(probability)], 2
    )
    cover = _OPAQUE * probability
    drawn: NDArray[np.uint8] = np.rint((1 - cover) * pixels + cover * color).astype(np.uint8)
    return drawn


def one_image(image: OneInput, *, upright: bool, max_pixels: int) -> ImageRef:
    """Return the location of a single image.

    Raises:
        TypeError: it is of another kind, or not one image.
    """
    found = list(entries(image, upright=upright, max_pixels=max_pixels)) if is_one(image) else []
    if len(found) != 1:
        raise TypeError(
            f"image must be one image, got {len(found) or 'several'}. Name one of them; "
            "heatmaps() computes the maps of many."
        )
    return found[0].ref


def column_of(label: str, classes: tuple[str, ...]) -> int:
    """Return the place of a class among the model's.

    Raises:
        ValueError: there is no such class.
    """
    if label not in classes:
        near = ", ".join(get_close_matches(str(label), classes, n=3)) or classes[0]
        raise ValueError(f"label must be one of the model's classes, got {label!r}; try {near}")
    return classes.index(label)


def write_overlay(file: Path, pixels: NDArray[np.uint8], heat: NDArray[np.float32]) -> None:
    """Write an image with a class map over it as PNG; see `overlay`.

    Raises:
        OSError: the folder is missing, full or read-only.
    """
    with atomic.replacing(file) as opened:
        Image.fromarray(overlay(pixels, heat)).save(opened, format="PNG")
