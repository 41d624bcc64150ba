"""The memory that decoding an image takes beside its file, which is claimed before (`budget`).

The figures are peaks of a process that decoded and resized an image of 80 megapixels, rounded up;
`python -m bench large` compares whole runs with the limit.

    format               bytes per pixel, where they are
    JPEG                 3: pixels, of what is decoded at 1/8 or 1/4 only; as many again if it is
                         turned or cropped
    JPEG, progressive    2 more for each coefficient: libjpeg keeps all of them, at every scale
    JPEG, CMYK           7: Pillow's 4, and the pixels
    PNG, GIF, BMP, PNM   7: the same; 3 to 4 for gray, palettes and through libspng
    TIFF                 7, and the file again; a strip of 16 bits may be as large as the image
    WebP                 17: two canvases of libwebp, its answer, Pillow's 4
    AVIF, HEIC           7 to 10: planes of the decoder, RGB, Pillow's 4; more with 10 bits
"""

from __future__ import annotations

from typing import Final

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
_PROGRESSIVE: Final = (0xC2, 0xC6, 0xCA, 0xCE)


def coefficients(marker: int, frame: bytes) -> int:
    """Return the size of the coefficients that libjpeg keeps of a progressive JPEG, bytes.

    Args:
        marker: of the frame header.
        frame: what is in it, after its length.

    Returns:
        0 for another kind of JPEG, or for a frame header that is cut.
    """
    if marker not in _PROGRESSIVE or len(frame) < 6 or len(frame) < 6 + 3 * frame[5]:
        return 0
    height, width = int.from_bytes(frame[1:3], "big"), int.from_bytes(frame[3:5], "big")
    sampling = [divmod(frame[at], 16) for at in range(7, 6 + 3 * frame[5], 3)]
    most = max((across for across, _ in sampling), default=1) * max(
        (down for _, down in sampling), default=1
    )
    shares = sum(across * down for across, down in sampling)
    return _COEFFICIENT * width * height * shares // max(most, 1)
