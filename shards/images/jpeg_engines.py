"""Tells which JPEGs the decoding engines of a GPU take.

nvJPEG decodes all others on the CPU, except for their inverse transform: for a progressive file, a
host that has checked every coefficient would read each of them twice.

Source: `nvjpeg.h` of CUDA 13, NVJPEG_BACKEND_HARDWARE (baseline, a single scan, neither 4:1:0 nor
4:1:1), and the samplings in nvImageCodec's `hw_decoder.cpp`.
"""

from __future__ import annotations

from typing import Final

from shards.images import jpeg

_SOF0, _OTHER_SOF, _SOS = 0xC0, range(0xC1, 0xD0), 0xDA
_NOT_SOF: Final = (0xC4, 0xC8, 0xCC)  # tables, reserved, and arithmetic coding's conditions
_CHROMA: Final = b"\x11"
_LUMA: Final = (b"\x11", b"\x21", b"\x22", b"\x12")
"""Sampling factors across and down, a hexadecimal digit each: 4:4:4, 4:2:2, 4:2:0, 4:4:0."""


def suits_engines(data: bytes) -> bool:
    """Whether an engine decodes a JPEG, by its segments up to the first scan.

    Args:
        data: the whole file.
    """
    components = 0
    for marker, start, end in jpeg.segments(data):
        if marker == _SOF0:
            components = _sampled(data[start:end])
            if not components:
                return False
        elif marker == _SOS:
            return components > 0 and data[start : start + 1] == bytes([components])
        elif marker in _OTHER_SOF and marker not in _NOT_SOF:
            return False
    return False


def _sampled(frame: bytes) -> int:
    """Read a frame header: the number of its components, 0 if engines do not take the frame."""
    if len(frame) < 6 or frame[0] != 8:  # bits
        return 0
    factors = [frame[at : at + 1] for at in range(7, len(frame), 3)]
    if len(factors) != frame[5]:
        return 0
    gray = len(factors) == 1
    colors = len(factors) == 3 and factors[0] in _LUMA and factors[1:] == [_CHROMA] * 2
    return len(factors) if gray or colors else 0
