"""One drawn image of every kind, encoded; and the ways in which images are bad."""

from __future__ import annotations

import io
import struct
import zlib
from importlib import import_module
from importlib.util import find_spec

import numpy as np
from PIL import Image

WIDTH, HEIGHT = 150, 110


def photo(width: int = WIDTH, height: int = HEIGHT) -> Image.Image:
    """Smooth ground, hard edges and a little noise; no two sides or corners alike."""
    noise = np.random.default_rng(7)
    y, x = np.mgrid[0 : 1 : complex(height), 0 : 1 : complex(width)]
    ground = np.stack([200 * x, 180 * y, 120 * (1 - x) * y + 60], axis=2)
    ground[: height // 3, : width // 4] = (230, 40, 20)
    ground[height // 2 :, width // 2 : width // 2 + width // 8] = (15, 200, 60)
    ground += noise.normal(0, 4, ground.shape)
    return Image.fromarray(ground.clip(0, 255).astype(np.uint8))


def encoded(image: Image.Image, form: str, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


def with_orientation(value: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = value
    return exif


def png_rgb16(image: Image.Image) -> bytes:
    """RGB with 16 bits a channel, which Pillow reads and does not write."""
    low = np.random.default_rng(3).integers(0, 256, (image.height, image.width, 3))
    values = (np.asarray(image).astype(np.uint16) << 8 | low.astype(np.uint16)).astype(">u2")
    lines = b"".join(b"\0" + line.tobytes() for line in values)
    return _png(image.width, image.height, 16, zlib.compress(lines))


def _huge_png() -> bytes:
    """A header that promises 4.2 gigapixels, and next to nothing behind it."""
    return _png(65000, 65000, 8, zlib.compress(bytes(100)))


def _huge_jpeg(jpeg: bytes) -> bytes:
    at = jpeg.index(b"\xff\xc0") + 5
    return jpeg[:at] + struct.pack(">HH", 65000, 65000) + jpeg[at + 4 :]


def _png(width: int, height: int, bits: int, lines: bytes) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, bits, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", lines), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    )


def _gray16() -> Image.Image:
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    return Image.fromarray((x * 400 + y * 40).astype(np.uint16))


def _rgba() -> Image.Image:
    image = photo().convert("RGBA")
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    return image


def _with_chunk(png: bytes, kind: bytes, body: bytes, *, checksum: int | None = None) -> bytes:
    """Put a chunk behind a PNG's header."""
    told = zlib.crc32(kind + body) if checksum is None else checksum
    chunk = struct.pack(">I", len(body)) + kind + body + struct.pack(">I", told)
    return png[:33] + chunk + png[33:]


def heic(image: Image.Image) -> bytes:
    """RGB as HEIC; pillow-heif has to be installed."""
    out = io.BytesIO()
    import_module("pillow_heif").from_pillow(image).save(out, quality=90)
    return out.getvalue()


def good() -> dict[str, bytes]:
    """Name of the kind -> the file's bytes."""
    image = photo()
    kinds = {
        "jpeg": encoded(image, "JPEG", quality=90),
        "jpeg 4:4:4": encoded(image, "JPEG", quality=90, subsampling="4:4:4"),
        "jpeg progressive": encoded(image, "JPEG", progressive=True),
        "jpeg gray": encoded(image.convert("L"), "JPEG"),
        "jpeg cmyk": encoded(image.convert("CMYK"), "JPEG"),
        "jpeg rgb": encoded(image, "JPEG", keep_rgb=True),
        "jpeg 1x1": encoded(photo(1, 1), "JPEG"),
        "jpeg 3000x2": encoded(photo(3000, 2), "JPEG"),
        "jpeg 10x10": encoded(photo(10, 10), "JPEG"),
        "png": encoded(image, "PNG"),
        "png 1 bit": encoded(image.convert("1"), "PNG"),
        "png gray": encoded(image.convert("L"), "PNG"),
        "png gray 16 bit": encoded(_gray16(), "PNG"),
        "png rgb 16 bit": png_rgb16(image),
        "png palette": encoded(image.convert("P"), "PNG"),
        "png palette, transparent": encoded(
            image.convert("P"), "PNG", transparency=bytes(range(256))
        ),
        "png alpha": encoded(_rgba(), "PNG"),
        "png gray alpha": encoded(_rgba().convert("LA"), "PNG"),
        "webp": encoded(image, "WEBP"),
        "webp alpha": encoded(_rgba(), "WEBP", lossless=True),
        "bmp": encoded(image, "BMP"),
        "tiff": encoded(image, "TIFF"),
        "tiff lzw": encoded(image, "TIFF", compression="tiff_lzw"),
        "tiff gray 16 bit": encoded(_gray16(), "TIFF"),
        "tiff gray 16 bit, white is zero": encoded(_gray16(), "TIFF", tiffinfo={262: 0}),
        "gif": encoded(image, "GIF"),
        "ppm": encoded(image, "PPM"),
        "pgm 16 bit": b"P5 2 2 65535\n" + struct.pack(">4H", 0, 20_000, 40_000, 65_535),
        "avif": encoded(image, "AVIF"),
        "avif alpha": encoded(_rgba(), "AVIF"),
        "png, a broken color profile": _with_chunk(
            encoded(image, "PNG"), b"iCCP", b"x\0\0" + zlib.compress(bytes(2_000_000))
        ),
        "png, a wrong checksum": _with_chunk(encoded(image, "PNG"), b"tEXt", b"a\0b", checksum=7),
    }
    if find_spec("pillow_heif") is not None:
        kinds["heic"] = heic(image)
    for form in ("JPEG", "PNG", "WEBP", "TIFF", "AVIF"):
        for value in range(1, 9) if form == "JPEG" else (6, 7):
            name = f"{form.lower()} exif {value}"
            kinds[name] = encoded(image, form, exif=with_orientation(value))
    return kinds


def bad() -> dict[str, tuple[bytes, str]]:
    """Name of the defect -> the file's bytes and the reason's code."""
    jpeg, png = encoded(photo(), "JPEG"), encoded(photo(), "PNG")
    avif, tiff = encoded(photo(), "AVIF"), encoded(photo(), "TIFF")
    middle = len(jpeg) // 2
    return {
        "no bytes": (b"", "empty"),
        "a page of HTML": (b"<!doctype html><title>404</title>", "unsupported"),
        "half a JPEG": (jpeg[:middle], "truncated"),
        "a JPEG's header": (jpeg[:40], "truncated"),
        "a JPEG without some bytes": (jpeg[:middle] + jpeg[middle + 50 :], "corrupt"),
        "half a PNG": (png[: len(png) // 2], "truncated"),
        "a PNG with a wrong byte": (
            png[:500] + bytes([png[500] ^ 1]) + png[501:],
            "corrupt",
        ),
        "an image of Apple's own PNG": (png[:8] + b"\0\0\0\4CgBI" + png[8:], "unsupported"),
        "JPEG XL": (b"\xff\x0a\xfa\x1f" + bytes(60), "unsupported"),
        "half an AVIF": (avif[: len(avif) // 2], "truncated"),
        "half a TIFF": (tiff[: len(tiff) // 2], "truncated"),
        "heights as a TIFF": (encoded(Image.new("F", (9, 9)), "TIFF"), "unsupported"),
        "a PNG of 65000 x 65000": (_huge_png(), "too_large"),
        "a JPEG of 65000 x 65000": (_huge_jpeg(jpeg), "too_large"),
    }
