"""The memory that decoding an image takes beside its file, which is claimed before (`budget`).

The figures are peaks of a process that decoded and resized an image of 80 megapixels, rounded up;
`python -m bench large` compares whole runs with the limit.

    format               bytes per pixel, where they are
    JPEG                 3: pixels, of what is decoded at 1/8 or 1/4 only; as many again if it is
                         turned or cropped
    JPEG, several scans  2 more for each coefficient: libjpeg keeps all of them, at every scale
    JPEG, CMYK           7: Pillow's 4, and the pixels
    PNG, GIF, BMP, PNM   7: the same; 3 to 4 for gray, palettes and through libspng
    TIFF                 7, and the file again; a strip of 16 bits may be as large as the image
    WebP                 17: two canvases of libwebp, its answer, Pillow's 4
    AVIF, HEIC           7 to 10: planes of the decoder, RGB, Pillow's 4; more with 10 bits
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

PIXEL: Final = 3
"""Of an image that is decoded: RGB."""
PILLOW: Final = 8
"""An image of Pillow's, of 4 bytes per pixel, and its pixels."""
DEEP_TIFF: Final = 12
"""The same beside a strip of four samples of 16 bits."""
AV1: Final = 16
HEVC: Final = 16
WEBP: Final = 18
_COEFFICIENT: Final = 2
_FRAMES: Final = (0xC0, 0xC1, 0xC2, 0xC9, 0xCA)
"""Frame headers that libjpeg-turbo reads: baseline, extended, progressive, arithmetic coding."""
_PROGRESSIVE: Final = (0xC2, 0xCA)
_SOS: Final = 0xDA


def coefficients(segments: Iterable[tuple[int, bytes]]) -> int:
    """Return the size of the coefficients that libjpeg keeps of a JPEG, bytes.

    It keeps all of them where an image has several scans: if it is progressive, or if the first
    scan does not have all components, as a baseline JPEG may.

    Args:
        segments: marker and content of each segment, up to and including the first scan header.

    Returns:
        0 for a JPEG of one scan, or whose headers are cut.
    """
    found, progressive, components = 0, False, 0
    for marker, content in segments:
        if marker in _FRAMES and len(content) >= 6 and len(content) >= 6 + 3 * content[5]:
            found, progressive = _of_frame(content), marker in _PROGRESSIVE
            components = content[5]
        elif marker == _SOS and content[:1]:
            progressive = progressive or content[0] < components
    return found if progressive else 0


def _of_frame(content: bytes) -> int:
    height, width = int.from_bytes(content[1:3], "big"), int.from_bytes(content[3:5], "big")
    sampling = [divmod(content[at], 16) for at in range(7, 6 + 3 * content[5], 3)]
    most = max((across for across, _ in sampling), default=1) * max(
        (down for _, down in sampling), default=1
    )
    shares = sum(across * down for across, down in sampling)
    return _COEFFICIENT * width * height * shares // max(most, 1)
