"""Choose who makes the batches."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import torch

from vocscore.errors import DeviceError
from vocscore.pipeline.dali import DaliLoader, DaliMissingError
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
    device: str,
    threads: int,
    max_pixels: int,
) -> ImageLoader:
    """Open a loader; close it, or use it in a `with` block.

    Args:
        name: 'host', 'dali', 'reference', or 'auto': DALI on a GPU, else the host.
        preprocess: what is done to each image.
        batch_size: rows a batch.
        device: 'cpu', 'cuda' or 'cuda:N': where the network is, and where DALI decodes. The
            host's and the reference's batches are in main memory.
        threads: as for the loader.
        max_pixels: as for `image.decode`.

    Raises:
        DeviceError: there is no such device, or DALI is asked for and cannot be had.
        ValueError: an unknown name.
    """
    if name not in NAMES:
        raise ValueError(f"no loader is called '{name}'; there are {', '.join(NAMES)}")
    on_gpu = _on_gpu(device)
    if name == "reference":
        return ReferenceLoader(preprocess, batch_size=batch_size, max_pixels=max_pixels)
    if name == "dali" or (name == "auto" and on_gpu):
        try:
            return DaliLoader(
                preprocess,
                batch_size=batch_size,
                threads=threads,
                device=device,
                max_pixels=max_pixels,
            )
        except DaliMissingError as missing:
            if name == "dali":
                raise
            warnings.warn(f"{missing} Decoding on the CPU.", RuntimeWarning, stacklevel=2)
    return HostLoader(preprocess, batch_size=batch_size, threads=threads, max_pixels=max_pixels)


def _on_gpu(device: str) -> bool:
    """Say whether the device is a GPU, once it is known to be there."""
    try:
        wanted = torch.device(device)
    except RuntimeError as error:
        raise DeviceError(f"no device is called '{device}'; use cpu, cuda or cuda:N.") from error
    if wanted.type not in {"cpu", "cuda"}:
        raise DeviceError(f"device '{device}' is not supported; use cpu, cuda or cuda:N.")
    if wanted.type == "cuda" and (wanted.index or 0) >= torch.cuda.device_count():
        raise DeviceError(
            f"device '{device}' is not there; torch sees {torch.cuda.device_count()} CUDA devices. "
            "Use '--device cpu'."
        )
    return wanted.type == "cuda"
