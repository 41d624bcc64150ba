"""Where the work is done, and with what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from vocscore.config.option import Group, option

MAX_PIXELS = 200_000_000
"""Pixels of one image, width times height; a larger one is taken for a decompression bomb."""


def max_pixels_option(outcome: str) -> int:
    """How large an image may be, in every command that decodes some.

    Args:
        outcome: what becomes of a larger one, such as 'is refused'.
    """
    larger = f"An image with more pixels (width times height) {outcome}."
    return option(MAX_PIXELS, help=larger, metavar="PIXELS", minimum=1)  # type: ignore[no-any-return]


@dataclass(frozen=True, kw_only=True)
class ComputeConfig(Group):
    """The device, the threads, and what decodes."""

    title: ClassVar[str] = "Compute"

    device: str = option(
        "auto",
        help="auto, cpu, cuda or cuda:N. auto: the first GPU, else the CPU.",
        metavar="DEVICE",
    )
    loader: str = option(
        "auto",
        help="What decodes: the DALI graph, the host path (libjpeg-turbo and torch), or the slow "
        "PIL reference. auto: DALI on a GPU, the host path elsewhere.",
        choices=("auto", "dali", "host", "reference"),
    )
    workers: int | None = option(
        None,
        help="Threads that read and decode.",
        metavar="THREADS",
        unset="one per usable core",
        minimum=1,
    )


@dataclass(frozen=True, kw_only=True)
class DecodeConfig(Group):
    """How images are decoded for a trained model."""

    title: ClassVar[str] = "Decoding"

    batch_size: int = option(
        64, help="Images that are decoded together.", metavar="IMAGES", minimum=1
    )
    max_pixels: int = max_pixels_option("is an error row")
