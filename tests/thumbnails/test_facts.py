"""Facts are what a file says about its image, by the rules by which it is scored."""

from __future__ import annotations

import pytest
from drawn_images import MANY, drawn, encoded, opened, turned
from PIL import PngImagePlugin, features

from shards.errors import BadImage, Reason
from vocscore.thumbnails.thumbnail import Facts, facts, thumbnail

XMP = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/">'
    '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6"/>'
    "</rdf:RDF></x:xmpmeta>"
)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_facts_are_those_of_the_file(kind: str, orientation: int) -> None:
    """Format, size as stored, orientation and bytes, as PIL wrote them; the image is upright."""
    data = encoded(drawn(70, 40), kind, exif=turned(orientation))
    assert facts(data) == Facts(kind, 70, 40, orientation, len(data))
    made = opened(thumbnail(data, 96, max_pixels=MANY))
    assert made.size == ((70, 40) if orientation < 5 else (40, 70))


@pytest.mark.parametrize("kind", ["GIF", "BMP", "PPM"])
def test_formats_without_exif_are_upright(kind: str) -> None:
    """Their orientation is 1."""
    data = encoded(drawn(70, 40), kind)
    assert facts(data) == Facts(kind, 70, 40, 1, len(data))


@pytest.mark.parametrize("value", [0, 9, 4000])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF"])
def test_an_orientation_that_makes_no_sense_is_upright(kind: str, value: int) -> None:
    """As it is scored."""
    data = encoded(drawn(70, 40), kind, exif=turned(value))
    assert facts(data).orientation == 1
    assert opened(thumbnail(data, 96, max_pixels=MANY)).size == (70, 40)


def test_damaged_pixels_do_not_matter() -> None:
    """The header of a file that is cut short is read."""
    whole = encoded(drawn(), exif=turned(6))
    half = whole[: len(whole) * 2 // 3]
    assert facts(half) == Facts("JPEG", 310, 170, 6, len(half))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", Reason.EMPTY),
        (b"some text", Reason.UNSUPPORTED),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", Reason.UNSUPPORTED),
        (encoded(drawn())[:40], Reason.TRUNCATED),
        (encoded(drawn(), "PNG")[:20], Reason.TRUNCATED),
    ],
    ids=["empty", "text", "svg", "jpeg", "png"],
)
def test_without_a_header_there_is_a_fault(data: bytes, reason: Reason) -> None:
    """With scoring's reason."""
    with pytest.raises(BadImage) as caught:
        facts(data)
    assert caught.value.fault.reason is reason


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_the_orientation_is_the_one_that_is_applied(kind: str) -> None:
    """XMP may tell another one than EXIF; scoring goes by EXIF, and so do the facts."""
    if kind == "PNG":
        told = PngImagePlugin.PngInfo()
        told.add_itxt("XML:com.adobe.xmp", XMP)
        data = encoded(drawn(70, 40), kind, pnginfo=told)
    else:
        data = encoded(drawn(70, 40), kind, xmp=XMP.encode())
    assert opened(thumbnail(data, 96, max_pixels=MANY)).size == (70, 40)
    assert facts(data).orientation == 1


def test_a_damaged_avif_has_facts() -> None:
    """One that scoring refuses as corrupt, and whose header still has the size."""
    if not features.check("avif"):
        pytest.skip("this build of Pillow does not support AVIF")
    data = encoded(drawn(70, 40), "AVIF").replace(b"iloc", b"ilox")
    with pytest.raises(BadImage):
        thumbnail(data, 96, max_pixels=MANY)
    assert facts(data) == Facts("AVIF", 70, 40, 1, len(data))
