"""Chooses the loader."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from vocscore.device import Device
from vocscore.pipeline.dali import DaliLoader, DaliMissingError
from vocscore.pipeline.devices import find_device
from vocscore.pipeline.host import HostLoader
from vocscore.pipeline.reference import ReferenceLoader

if TYPE_CHECKING:
    from vocscore.pipeline.batch import ImageLoader
    from vocscore.pipeline.preprocess import Preprocess

NAMES = ("auto", "host", "dali", "reference")


def open_loader(
    name: str,
    preprocess: Preprocess,
    *,
    batch_size: int,
    device: Device | str,
    threads: int,
    max_pixels: int,
) -> ImageLoader:
    """Open a loader; close it, or use it in a `with` block.

    Args:
        name: 'host', 'dali', 'reference', or 'auto': DALI on a GPU, else the host.
        preprocess: the preprocessing of each image.
        batch_size: rows per batch.
        device: the network's device, where DALI decodes; a `Device` or its name. Batches of the
            other loaders are in main memory.
        threads: as for the loader.
        max_pixels: as for `image.decode`.

    Raises:
        DeviceError: there is no such device, or DALI is requested and not installed.
        ValueError: an unknown name.
    """
    if name not in NAMES:
        raise ValueError(f"no loader is called '{name}'; there are {', '.join(NAMES)}")
    place = find_device(Device.parse(device))
    if name == "reference":
        return ReferenceLoader(preprocess, batch_size=batch_size, max_pixels=max_pixels)
    if name == "dali" or (name == "auto" and place.is_gpu):
        try:
            return DaliLoader(
                preprocess,
                batch_size=batch_size,
                threads=threads,
                device=place,
                max_pixels=max_pixels,
            )
        except DaliMissingError as missing:
            if name == "dali":
                raise
            warnings.warn(f"{missing} Decoding on the CPU.", RuntimeWarning, stacklevel=2)
    return HostLoader(
        preprocess,
        batch_size=batch_size,
        threads=threads,
        max_pixels=max_pixels,
        pinned=place.is_gpu,
    )
