"""Asks nvJPEG for a GPU's JPEG engines: units that decode, and are not in torch's properties.

The library is DALI's own dependency; without it, or without a driver, the number is unknown.
"""

from __future__ import annotations

import ctypes
import ctypes.util
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import torch

from vocscore.pipeline.devices import is_gpu, on_device

if TYPE_CHECKING:
    from collections.abc import Iterator

# From `nvjpeg.h` of CUDA 13: NVJPEG_BACKEND_HARDWARE, and values of nvjpegStatus_t.
_HARDWARE: Final = 3
_SUCCESS, _ARCH_MISMATCH = 0, 7
_FOLDERS: Final = ("cu13/lib", "nvjpeg/lib")
"""Where the wheels for CUDA 13 and for 12 have it, below the package `nvidia`."""


def jpeg_engines(device: torch.device | str) -> int | None:
    """Count the JPEG engines of a GPU, or of the part of it that this process sees (MIG).

    Args:
        device: 'cpu' or 'cuda:N'. The GPU's context is created if there is none yet.

    Returns:
        0 if the GPU has none; None if it cannot be told, and for the CPU.
    """
    device = torch.device(device)
    if not is_gpu(device):
        return None
    # RuntimeError: the GPU cannot be used; AssertionError: torch was built without CUDA
    with suppress(RuntimeError, AssertionError), on_device(device):
        torch.cuda.synchronize()  # makes its context the current one of this thread
        for file in _libraries():
            with suppress(OSError, AttributeError):  # not a library; older than the function
                found = count_engines(ctypes.CDLL(file))
                if found is not None:  # a library for a newer driver fails
                    return found
    return None


def described_gpu(device: torch.device | str) -> str:
    """Name a GPU and its engines for a summary: 'NVIDIA H100 80GB HBM3, 7 JPEG engines'."""
    engines = jpeg_engines(device)
    many = "an unknown number of" if engines is None else engines or "no"
    return f"{torch.cuda.get_device_name(device)}, {many} JPEG engine{'s' * (engines != 1)}"


def count_engines(nvjpeg: Any) -> int | None:
    """Ask an opened library about the current GPU.

    Args:
        nvjpeg: a `ctypes.CDLL`.

    Raises:
        AttributeError: it is older than CUDA 11.9 and cannot tell.
    """
    info = nvjpeg.nvjpegGetHardwareDecoderInfo  # before anything is created
    handle, engines, cores = ctypes.c_void_p(), ctypes.c_uint(), ctypes.c_uint()
    status = nvjpeg.nvjpegCreateEx(_HARDWARE, None, None, ctypes.c_uint(0), ctypes.byref(handle))
    if status == _ARCH_MISMATCH:
        return 0
    if status != _SUCCESS:
        return None
    try:
        status = info(handle, ctypes.byref(engines), ctypes.byref(cores))
    finally:
        nvjpeg.nvjpegDestroy(handle)
    return engines.value if status == _SUCCESS else None


def _libraries() -> Iterator[str]:
    """Yield candidates: those of installed wheels, the newest first, then the system's."""
    package = find_spec("nvidia")
    for base in (package and package.submodule_search_locations) or ():
        for folder in _FOLDERS:
            files = Path(base, folder).glob("libnvjpeg.so*")
            yield from map(str, sorted(files, reverse=True))
    installed = ctypes.util.find_library("nvjpeg")
    if installed is not None:
        yield installed
