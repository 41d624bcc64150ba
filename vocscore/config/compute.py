"""Options for devices, threads, loaders and decoding."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from vocscore.config.option import Group, option

MAX_PIXELS = 200_000_000
"""Pixels of one image, width times height; a larger one is treated as a decompression bomb."""


def max_pixels_option(outcome: str) -> int:
    """Declare the largest image size, for every command that decodes images.

    Args:
        outcome: what happens to a larger one, such as 'is refused'.
    """
    larger = f"An image with more pixels (width times height) {outcome}."
    return option(MAX_PIXELS, help=larger, metavar="PIXELS", minimum=1)  # type: ignore[no-any-return]


IMAGE_MEMORY = 1024
"""MiB of the images that are read and decoded at the same time."""


def image_memory_option(note: str) -> int:
    """Declare the bound of memory for images, for every command that decodes in threads.

    Args:
        note: the end of a sentence: what it is a bound of, such as 'of this process'.
    """
    text = (
        "Memory for files and pixels of images that are decoded at the same time, with any number "
        f"of {{workers}}, {note}. Threads wait for it. One image is always decoded, whatever its "
        "size. It changes no result."
    )
    return option(IMAGE_MEMORY, help=text, metavar="MIB", minimum=1)  # type: ignore[no-any-return]


@dataclass(frozen=True, kw_only=True)
class ComputeConfig(Group):
    """The device, the threads and the loader."""

    title: ClassVar[str] = "Compute"

    device: str = option(
        "auto",
        help="auto, cpu, cuda or cuda:N. auto: the first GPU, else the CPU.",
        metavar="DEVICE",
    )
    loader: str = option(
        "auto",
        help="Image loader: DALI, host (libjpeg-turbo and torch), or the slow PIL reference. auto: "
        "DALI on a GPU, host elsewhere.",
        choices=("auto", "dali", "host", "reference"),
    )
    workers: int | None = option(
        None,
        help="Threads for reading and decoding.",
        metavar="THREADS",
        unset="one per usable core",
        minimum=1,
    )
    image_memory: int = image_memory_option("divided among the processes of a machine")


@dataclass(frozen=True, kw_only=True)
class DecodeConfig(Group):
    """How images are decoded for a trained model."""

    title: ClassVar[str] = "Decoding"

    batch_size: int = option(64, help="Images decoded together.", metavar="IMAGES", minimum=1)
    max_pixels: int = max_pixels_option("is an error row")
