"""Which files are images: by file name suffix, else by their first bytes.

Every common format for photographs or document pages is listed, decoded or not, so that none is
skipped silently: a format that is not decoded is reported by name, with what the user can do.

Sources of the signatures: the formats' own specifications, as collected in file(1)'s magic
(`jpeg`, `images`, `animation`, `pdf`) and in ISO/IEC 14496-12 (`ftyp` boxes and their brands).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

SNIFFED_BYTES: Final = 64
"""Leading bytes that `sniff` examines."""


@dataclass(frozen=True, slots=True)
class ImageFormat:
    """One kind of image file.

    Attributes:
        name: its common name, such as 'HEIC'.
        suffixes: file name suffixes, lower case, with the dot.
        decoded: whether it is decoded without extra packages (HEIC needs pillow-heif).
        cure: what the user can do about a file that is not decoded; '' if it is.
    """

    name: str
    suffixes: tuple[str, ...]
    decoded: bool = False
    cure: str = ""


_CONVERT: Final = "Convert it to JPEG or PNG."
_DEVELOP: Final = "Export it as JPEG or TIFF with a raw converter."
_RENDER: Final = "Render it to PNG."

FORMATS: Final = (
    ImageFormat("JPEG", (".jpg", ".jpeg", ".jpe", ".jfif"), decoded=True),
    ImageFormat("PNG", (".png", ".apng"), decoded=True),
    ImageFormat("WebP", (".webp",), decoded=True),
    ImageFormat("BMP", (".bmp", ".dib"), decoded=True),
    ImageFormat("TIFF", (".tif", ".tiff"), decoded=True),
    ImageFormat("GIF", (".gif",), decoded=True),
    ImageFormat("PNM", (".ppm", ".pgm", ".pbm", ".pnm"), decoded=True),
    ImageFormat("AVIF", (".avif", ".avifs"), decoded=True),
    ImageFormat(
        "HEIC",
        (".heic", ".heics", ".heif", ".heifs", ".hif"),
        cure="Run: pip install 'vocscore[heif]'",
    ),
    ImageFormat("JPEG XL", (".jxl",), cure=_CONVERT),
    ImageFormat("JPEG 2000", (".jp2", ".j2k", ".j2c", ".jpf", ".jpx", ".jpm"), cure=_CONVERT),
    ImageFormat("JPEG XR", (".jxr", ".wdp", ".hdp"), cure=_CONVERT),
    ImageFormat(
        "camera RAW",
        (
            *(".dng", ".cr2", ".cr3", ".crw", ".nef", ".nrw", ".arw", ".sr2", ".srf", ".raf"),
            *(".orf", ".rw2", ".pef", ".srw", ".x3f", ".3fr", ".iiq", ".kdc", ".dcr", ".erf"),
            *(".mrw", ".mef", ".mos", ".raw", ".rwl"),
        ),
        cure=_DEVELOP,
    ),
    ImageFormat("Photoshop", (".psd", ".psb"), cure=_CONVERT),
    ImageFormat("GIMP", (".xcf",), cure=_CONVERT),
    ImageFormat("SVG", (".svg", ".svgz"), cure=_RENDER),
    ImageFormat("PDF", (".pdf",), cure=_RENDER),
    ImageFormat("PostScript", (".eps", ".epsf", ".ps"), cure=_RENDER),
    ImageFormat("ICO", (".ico", ".cur"), cure=_CONVERT),
    ImageFormat("TGA", (".tga",), cure=_CONVERT),
    ImageFormat("PCX", (".pcx",), cure=_CONVERT),
    ImageFormat("DDS", (".dds",), cure=_CONVERT),
    ImageFormat("OpenEXR", (".exr",), cure=_CONVERT),
    ImageFormat("Radiance HDR", (".hdr",), cure=_CONVERT),
    ImageFormat("DICOM", (".dcm", ".dicom"), cure=_CONVERT),
)
"""All known formats."""

_BY_NAME: Final = {one.name: one for one in FORMATS}
IMAGE_SUFFIXES: Final = tuple(suffix for one in FORMATS for suffix in one.suffixes)
"""File name suffixes of images, lower case."""
_BY_SUFFIX: Final = {suffix: one for one in FORMATS for suffix in one.suffixes}

_SIGNATURES: Final = (
    (0, b"\xff\xd8\xff", "JPEG"),
    (0, b"\x89PNG\r\n\x1a\n", "PNG"),
    (0, b"GIF8", "GIF"),
    (0, b"II*\0\x10\0\0\0CR", "camera RAW"),  # Canon's CR2, a TIFF inside
    (0, b"IIRO", "camera RAW"),
    (0, b"IIU\0", "camera RAW"),
    (0, b"FUJIFILMCCD-RAW", "camera RAW"),
    (0, b"II*\0", "TIFF"),
    (0, b"MM\0*", "TIFF"),
    (0, b"II+\0", "TIFF"),
    (0, b"MM\0+", "TIFF"),
    (0, b"II\xbc\x01", "JPEG XR"),
    (8, b"WEBP", "WebP"),
    (0, b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
    (0, b"\xff\x0a", "JPEG XL"),
    (0, b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
    (0, b"\xff\x4f\xff\x51", "JPEG 2000"),
    (0, b"8BPS", "Photoshop"),
    (0, b"gimp xcf", "GIMP"),
    (0, b"%PDF-", "PDF"),
    (0, b"%!PS", "PostScript"),
    (0, b"DDS ", "DDS"),
    (0, b"\x76\x2f\x31\x01", "OpenEXR"),
    (0, b"#?RADIANCE", "Radiance HDR"),
    (0, b"#?RGBE", "Radiance HDR"),
)
"""Offset, bytes, format. TGA has no signature and ICO's zeros prove nothing: both are recognized by
name. BMP and PNM have only two letters; see `_by_header`."""
_BMP_HEADER_BYTES: Final = frozenset({12, 40, 52, 56, 64, 108, 124})
_PNM: Final = re.compile(rb"P[1-6]\s(\s|#[^\n]*\n)*\d+\s+\d+\s")
_BRANDS: Final = {
    **dict.fromkeys((b"avif", b"avis"), "AVIF"),
    **dict.fromkeys(
        (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"), "HEIC"
    ),
    b"crx ": "camera RAW",
}
"""Major brands of ISO base media files that hold images; videos have others."""


def format_of_name(name: str) -> ImageFormat | None:
    """The image format that a file name indicates, ignoring case; None for any other name."""
    _, dot, suffix = name.rpartition(".")
    return _BY_SUFFIX.get(f".{suffix.lower()}") if dot else None


def sniff(first: bytes) -> ImageFormat | None:
    """The image format that a file's first bytes prove; None if they prove none.

    Args:
        first: the first `SNIFFED_BYTES` bytes, or all of a shorter file.
    """
    if first[4:8] == b"ftyp":
        # 'mif1' is any image in this container; the compatible brands after it say which.
        brands = [first[8:12], *(first[at : at + 4] for at in range(16, len(first), 4))]
        kinds = [_BRANDS[brand] for brand in brands if brand in _BRANDS]
        if brands[0] not in _BRANDS:
            return None
        return _BY_NAME["AVIF" if "AVIF" in kinds else kinds[0]]
    for at, signature, name in _SIGNATURES:
        if first.startswith(signature, at):
            return _BY_NAME[name]
    by_header = _by_header(first)
    if by_header is not None:
        return _BY_NAME[by_header]
    text = first.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text.startswith(b"<svg") or (text.startswith(b"<?xml") and b"<svg" in text):
        return _BY_NAME["SVG"]
    return None


def _by_header(first: bytes) -> str | None:
    """Formats whose first two letters may also begin a text: the rest of the header must fit."""
    if first.startswith(b"BM") and first[6:10] == bytes(4):
        return "BMP" if int.from_bytes(first[14:18], "little") in _BMP_HEADER_BYTES else None
    return "PNM" if _PNM.match(first) else None
