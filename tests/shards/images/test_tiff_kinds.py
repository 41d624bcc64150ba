"""Every kind of TIFF comes out as the specification has it, or is refused: a brute-force twin."""

from __future__ import annotations

import itertools
import zlib
from dataclasses import replace

import numpy as np
import PIL
import pytest
from encoded import MANY, decoded, drawn, encoded, refused
from PIL import Image, ImageOps
from written_tiff import Kind, assemble, write

from shards.errors import BadImage
from shards.images import image_file

HEIGHT, WIDTH = 27, 43
COLORS = np.asarray(drawn(WIDTH, HEIGHT)).astype(int)
RGB = Kind(8, 2)
# Channels, what they mean, and what the channels behind the colors are.
MEANINGS = [
    (1, 0, ()),
    (1, 1, ()),
    (2, 1, (2,)),
    (2, 1, (0,)),
    (2, 0, (2,)),
    (3, 2, ()),
    (4, 2, (0,)),
    (4, 2, (2,)),
    (4, 5, ()),
]
LAYOUTS = [{}, {"rows": 8}, {"tile": (16, 16)}, {"tile": (64, 64)}]


def _levels(channels: int) -> np.ndarray:
    """Shape (H, W, channels), 0 to 1: slopes that wrap, so that a wrong byte order shows."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    return np.stack([(x * (3 + i) + y * (5 - i)) * 37 % 1009 / 1008 for i in range(channels)], 2)


def _shown(levels: np.ndarray, photometric: int) -> np.ndarray:
    """What the specification says of levels of 0 to 1: red, green and blue of 0 to 255."""
    if photometric == 5:
        return 255 * (1 - levels[:, :, :3]) * (1 - levels[:, :, 3:])
    if photometric == 2:
        return 255 * levels[:, :, :3]
    gray = levels[:, :, :1] if photometric == 1 else 1 - levels[:, :, :1]
    return 255 * np.repeat(gray, 3, axis=2)


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 12, 16, 32])
@pytest.mark.parametrize("meaning", MEANINGS, ids=str)
def test_right_or_refused(bits: int, meaning: tuple[int, int, tuple[int, ...]]) -> None:
    """In each byte order, layout, bit order and sample format the pixels are right, or unsupported.

    Within what truncating 16 bits to 8 costs, of which CMYK has two.
    """
    channels, photometric, extra = meaning
    outcomes = set()
    layouts = LAYOUTS[:3] if bits in (8, 12, 16) else LAYOUTS[:1]
    planes_of = (1, 2) if channels > 1 else (1,)
    formats = (None, 2, 3) if bits == 32 else (None, 2)
    for order, compression, planes, layout, reversed_bits, samples_are in itertools.product(
        "<>", (1, 8), planes_of, layouts, (False, True), formats
    ):
        kind = Kind(bits, photometric, order, compression, planes, extra=extra, **layout)
        kind = replace(kind, reversed_bits=reversed_bits, samples_are=samples_are)
        highest = 1 if samples_are == 3 else (1 << (bits - (samples_are == 2))) - 1
        levels = _levels(channels)
        samples = levels if samples_are == 3 else np.rint(levels * highest).astype(np.int64)
        try:
            pixels = decoded(write(samples, kind))
        except BadImage as bad:
            outcomes.add(str(bad.fault.reason))
            continue
        assert samples_are is None, f"{kind}: signed or floating-point, and decoded"
        difference = np.abs(pixels - _shown(samples / highest, photometric)).max()
        assert difference <= (2 if photometric == 5 else 1.01), f"{kind}: off by {difference}"
        outcomes.add("right")
    assert outcomes <= {"right", "unsupported"}
    assert "right" in outcomes or bits == 32 or channels > 1


@pytest.mark.parametrize("compression", [1, 8])
@pytest.mark.parametrize(("bits", "order"), [(8, "<"), (8, ">"), (12, "<"), (16, "<"), (16, ">")])
def test_a_negative_is_shown_as_it_is_meant(bits: int, compression: int, order: str) -> None:
    """White as zero is the opposite of black as zero, in 12 and 16 bits as in 8."""
    samples = np.rint(_levels(1) * ((1 << bits) - 1)).astype(np.int64)
    positive = Kind(bits, 1, order, compression)
    shown = decoded(write(samples, positive))
    negative = decoded(write((1 << bits) - 1 - samples, replace(positive, photometric=0)))
    np.testing.assert_array_equal(negative, shown)
    expected = np.rint(samples * (255 / ((1 << bits) - 1)))
    np.testing.assert_array_equal(shown, np.repeat(expected, 3, axis=2))


def test_a_missing_photometric_tag_means_white_is_zero() -> None:
    """Pillow's reading of 8 bits without the tag holds for 16 bits as well."""
    gray = COLORS[:, :, :1]
    for bits, factor in ((8, 1), (16, 257)):
        data = write(gray * factor, Kind(bits, 1), without=(262,))
        np.testing.assert_array_equal(decoded(data), 255 - np.repeat(gray, 3, axis=2))


@pytest.mark.parametrize("bits", [1, 4, 8])
@pytest.mark.parametrize("written", [1, 257], ids=["8 bits", "16 bits"])
def test_palettes_of_either_depth(bits: int, written: int) -> None:
    """A palette that was written with 8 bits in place of 16 is not taken for a black one."""
    colors = np.random.default_rng(2).integers(0, 256, (3, 1 << bits))
    places = COLORS[:, :, :1] % (1 << bits)
    palette = {320: (3, (colors * written).ravel().tolist())}
    data = write(places, Kind(bits, 3), tags=palette)
    np.testing.assert_array_equal(decoded(data), colors[:, places[:, :, 0]].transpose(1, 2, 0))
    short = {320: (3, palette[320][1][:-3])}
    assert str(refused(write(places, Kind(bits, 3), tags=short))).startswith("corrupt: ")


@pytest.mark.parametrize("compression", [1, 8])
def test_chroma_at_half_resolution(compression: int) -> None:
    """YCbCr of one chroma for four pixels is not read as one for each."""
    yellow = np.asarray(Image.fromarray(COLORS[:26, :42].astype(np.uint8)).convert("YCbCr"))
    luma, chroma = yellow[:, :, 0], yellow[::2, ::2, 1:]
    blocks = luma.reshape(13, 2, 21, 2).transpose(0, 2, 1, 3).reshape(13, 21, 4)
    data = np.concatenate([blocks, chroma], axis=2).tobytes()
    segment = data if compression == 1 else zlib.compress(data)
    full = np.concatenate([luma[:, :, None], chroma.repeat(2, 0).repeat(2, 1)], axis=2)
    expected = np.asarray(Image.frombytes("YCbCr", (42, 26), full.tobytes()).convert("RGB"))
    for tags in ({530: (3, [2, 2])}, {}):
        whole = assemble([segment], (26, 42, 3), Kind(8, 6, compression=compression), tags=tags)
        assert np.abs(decoded(whole).astype(int) - expected).max() <= 1
    plain = write(yellow.astype(int), Kind(8, 6))  # without the tag, and too long for a half
    expected = np.asarray(Image.frombytes("YCbCr", (42, 26), yellow.tobytes()).convert("RGB"))
    assert np.abs(decoded(plain).astype(int) - expected).max() <= 1


def test_lab_and_premultiplied_alpha_as_pillow_has_them() -> None:
    """Lab becomes RGB by Pillow's color management; gray multiplied by alpha is divided by it.

    Pillow before 13 does not open the latter: it is refused by name.
    """
    lab = Image.new("LAB", (WIDTH, HEIGHT))
    lab.putdata([tuple(pixel) for pixel in COLORS.reshape(-1, 3).tolist()])
    for compression in (None, "tiff_deflate"):
        data = encoded(lab, "TIFF", compression=compression)
        np.testing.assert_array_equal(decoded(data), np.asarray(lab.convert("RGB")))
    gray, alpha = COLORS[:, :, 0], np.full((HEIGHT, WIDTH), 128)
    multiplied = np.stack([gray * 128 // 255, alpha], axis=2)
    data = write(multiplied, Kind(8, 1, extra=(1,)))
    if int(PIL.__version__.partition(".")[0]) < 13:
        with pytest.raises(BadImage, match="8/8 bits per sample"):
            decoded(data)
        return
    pixels = decoded(data)
    assert np.abs(pixels[:, :, 0].astype(int) - gray).max() <= 2


@pytest.mark.parametrize(
    ("tags", "kind", "said"),
    [
        ({50706: (1, [1, 4, 0, 0])}, RGB, "camera RAW is not decoded"),
        ({254: (4, [1])}, RGB, "camera RAW is not decoded"),
        ({262: (3, [32803])}, RGB, "camera RAW is not decoded"),
        ({339: (3, [2, 2, 2])}, RGB, "signed or floating-point"),
        ({339: (3, [1, 1, 2])}, RGB, "signed or floating-point"),
        ({332: (3, [2])}, Kind(8, 5), "inks other than"),
        ({259: (3, [99])}, RGB, "compression 99"),
        ({262: (3, [9])}, RGB, "photometric interpretation 9"),
        ({}, replace(RGB, big=True, order=">"), "BigTIFF"),
    ],
    ids=str,
)
def test_what_has_no_right_answer_is_named(
    tags: dict[int, tuple[int, list[int]]], kind: Kind, said: str
) -> None:
    """Camera files, signs, odd inks and unknown layouts are unsupported, with what they are."""
    samples = COLORS if kind.photometric != 5 else np.concatenate([COLORS, COLORS[:, :, :1]], 2)
    verdict = str(refused(write(samples, kind, tags=tags)))
    assert verdict.startswith("unsupported: ")
    assert said in verdict


def test_undefined_samples_are_unsigned() -> None:
    """A writer that leaves open what its samples are means plain numbers."""
    data = write(COLORS, replace(RGB, samples_are=4))
    np.testing.assert_array_equal(decoded(data), COLORS)


def test_private_tags_cost_nothing() -> None:
    """Broken, huge and foreign tags decide no pixel; nor does XMP turn an image."""
    xmp = b'<x:xmpmeta xmlns:tiff="t"><r tiff:Orientation="6"/></x:xmpmeta>'
    tags = {
        65000: (4, [5] * 3000),
        65001: (2, list(b"x" * 70000)),
        34665: (4, [10**6]),  # EXIF behind the file
        34853: (4, [3]),  # GPS inside the header
        330: (4, [8]),  # a directory that is none
        700: (1, list(xmp)),
        34675: (1, list(b"no color profile")),
        305: (2, [200, 201, 0]),
    }
    for kind in (RGB, replace(RGB, compression=8, order=">"), replace(RGB, big=True)):
        np.testing.assert_array_equal(decoded(write(COLORS, kind, tags=tags)), COLORS)


@pytest.mark.parametrize("value", range(1, 9))
def test_the_orientation_tag_counts_once(value: int) -> None:
    """Upright and as stored, whatever Pillow would do unasked."""
    image = Image.fromarray(COLORS.astype(np.uint8))
    image.getexif()[0x0112] = value
    data = write(COLORS, RGB, tags={274: (3, [value])})
    np.testing.assert_array_equal(decoded(data), np.asarray(ImageOps.exif_transpose(image)))
    np.testing.assert_array_equal(decoded(data, upright=False), COLORS)
    assert image_file.probe(data) == image_file.Header("TIFF", WIDTH, HEIGHT)


@pytest.mark.parametrize(
    ("tags", "without"),
    [
        ({279: (4, [0])}, ()),
        ({279: (4, [10**7])}, ()),
        ({}, (279,)),
        ({}, (278,)),
        ({278: (4, [2**32 - 1])}, ()),
        ({278: (4, [2**31])}, ()),
        ({258: (3, [8])}, ()),
        ({317: (3, [2])}, ()),  # a predictor without a compression
    ],
    ids=str,
)
def test_what_is_told_wrongly_of_uncompressed_strips(
    tags: dict[int, tuple[int, list[int]]], without: tuple[int, ...]
) -> None:
    """Lengths that are wrong or left out do not cost pixels that are there."""
    np.testing.assert_array_equal(decoded(write(COLORS, RGB, tags=tags, without=without)), COLORS)
    if without == (279,):
        strips = replace(RGB, rows=8)
        np.testing.assert_array_equal(decoded(write(COLORS, strips, without=without)), COLORS)


@pytest.mark.parametrize("compression", [1, 8])
@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_pixels_that_are_not_there_are_missed(layout: dict, compression: int) -> None:
    """A file that ends before its pixels, or lists fewer strips than it needs, is not filled up."""
    whole = write(COLORS, replace(RGB, compression=compression, **layout))
    where, lengths = (324, 325) if "tile" in layout else (273, 279)
    missing = {where: (4, [len(whole) - 7]), lengths: (4, [HEIGHT * WIDTH * 3])}
    data = write(COLORS, replace(RGB, compression=compression, **layout), tags=missing)
    assert refused(data).reason in ("truncated", "corrupt")
    if layout in LAYOUTS[1:3]:
        few = {where: (4, [8]), lengths: (4, [500])}
        data = write(COLORS, replace(RGB, compression=compression, **layout), tags=few)
        assert refused(data).reason in ("truncated", "corrupt")


@pytest.mark.parametrize("compression", [None, "tiff_deflate", "tiff_lzw", "packbits"])
def test_a_cut_file_is_truncated_wherever_it_ends(compression: str | None) -> None:
    """Pillow writes the directory first: what is missing is then pixels, however few."""
    image = Image.fromarray(COLORS.astype(np.uint8))
    whole = encoded(image, "TIFF", compression=compression)
    np.testing.assert_array_equal(decoded(whole), COLORS)
    for end in (*range(9, len(whole) - 2, 397), len(whole) - 2):
        assert str(refused(whole[:end]).reason) == "truncated", end


def test_a_strip_a_row_in_a_tall_image() -> None:
    """70,000 strips are neither slow nor too many."""
    tall = np.arange(70_000)[:, None, None] % 256
    data = write(tall, Kind(8, 1, rows=1))
    np.testing.assert_array_equal(decoded(data), np.repeat(tall, 3, axis=2))
    assert str(refused(data, max_pixels=69_999)).startswith("too_large: 1 x 70000")
    assert image_file.check(data, max_pixels=MANY, whole=True).height == 70_000


def test_what_is_refused_is_refused_by_the_look() -> None:
    """`pack --no-verify` sees kinds that cannot be decoded; a size too large is said first."""
    signed = write(COLORS, replace(RGB, samples_are=2))
    odd = write(COLORS, replace(RGB, bits=4))
    for data in (signed, odd):
        with pytest.raises(BadImage, match="unsupported: TIFF with"):
            image_file.check(data, max_pixels=MANY, whole=False)
    bomb = write(COLORS, RGB, tags={256: (4, [65_000]), 257: (4, [65_000])})
    assert str(refused(bomb)).startswith("too_large: 65000 x 65000 is more than")
