"""Progressive JPEGs at 1/8, without the scans that are not used: no other pixel."""

from __future__ import annotations

import numpy as np
import pytest
import simplejpeg
from encoded import MANY, drawn, encoded, refused
from progressive import Drawing, Scan, encode

from shards.errors import BadImage
from shards.images import image_file, jpeg, scans

YUV420 = ((2, 2), (1, 1), (1, 1))
DC = Scan((0, 1, 2), 0, 0)
AC = [Scan((place,), 1, 63) for place in range(3)]


def _eighth(data: bytes) -> np.ndarray:
    """libjpeg-turbo's own decode of all scans."""
    height, width, _, _ = simplejpeg.decode_jpeg_header(data)
    return simplejpeg.decode_jpeg(
        data, min_height=-(-height // 8), min_width=-(-width // 8), strict=True
    )


def _assert_same(data: bytes) -> None:
    less = scans.for_an_eighth(data)
    assert less is not None
    assert len(less) < len(data)
    np.testing.assert_array_equal(_eighth(less), _eighth(data))
    height, width, _, _ = simplejpeg.decode_jpeg_header(data)
    np.testing.assert_array_equal(
        jpeg.decode_eighth(data, "YCbCr", width=width, height=height), _eighth(data)
    )


@pytest.mark.parametrize("restarts", [{}, {"restart_marker_blocks": 5}, {"restart_marker_rows": 1}])
@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0", "gray"])
@pytest.mark.parametrize("quality", [25, 75, 98])
def test_libjpegs_script(quality: int, subsampling: str, restarts: dict[str, int]) -> None:
    """With successive approximation, and long runs of blocks without coefficients."""
    for width, height in [(200, 136), (61, 47), (9, 300)]:
        image, options = drawn(width, height), dict(restarts)
        if subsampling == "gray":
            image = image.convert("L")
        else:
            options["subsampling"] = subsampling
        _assert_same(encoded(image, "JPEG", quality=quality, progressive=True, **options))


def test_one_run_does_not_reach() -> None:
    """65,536 blocks need three codes of at most 32,767."""
    image = drawn(256, 192).resize((2048, 2048))
    _assert_same(encoded(image, "JPEG", quality=60, progressive=True))


SAMPLINGS = [
    YUV420,
    ((2, 1), (1, 1), (1, 1)),
    ((1, 2), (1, 1), (1, 1)),
    ((1, 1), (1, 1), (1, 1)),
    ((4, 1), (1, 1), (1, 1)),
    ((2, 2), (2, 1), (2, 1)),
    ((2, 2), (1, 2), (1, 2)),
    ((1, 1),),
    ((2, 2),),
]


@pytest.mark.parametrize("sampling", SAMPLINGS, ids=str)
@pytest.mark.parametrize("restarts", [0, 4])
def test_every_sampling(sampling: tuple[tuple[int, int], ...], restarts: int) -> None:
    """Which components need all coefficients at 1/8 follows from their sampling."""
    places = tuple(range(len(sampling)))
    data = encode(
        Drawing(75, 61, sampling),
        [Scan(places, 0, 0), *(Scan((place,), 1, 63) for place in places)],
        restarts=restarts,
    )
    _assert_same(data)


ODD = {
    "one band after the other": [
        DC,
        *(Scan((place,), at, at) for at in range(1, 64) for place in (2, 0, 1)),
    ],
    "averages one by one": [
        Scan((2,), 0, 0),
        AC[2],
        Scan((0,), 0, 0, 0, 2),
        Scan((0,), 40, 63),
        Scan((1,), 0, 0),
        AC[1],
        Scan((0,), 0, 0, 2, 1),
        Scan((0,), 1, 39),
        Scan((0,), 0, 0, 1, 0),
    ],
    "luma first": [DC, Scan((0,), 6, 63), Scan((0,), 1, 5), AC[1], AC[2]],
}


@pytest.mark.parametrize("script", ODD.values(), ids=ODD)
def test_odd_scripts(script: list[Scan]) -> None:
    """Any order that libjpeg takes without a warning."""
    for restarts in (0, 3):
        _assert_same(encode(Drawing(75, 61, YUV420, seed=4), script, restarts=restarts))


NOT_TOUCHED = {
    "a band is missing": [DC, Scan((0,), 1, 20), Scan((0,), 22, 63), AC[1], AC[2]],
    "all of luma is missing": [DC, AC[1], AC[2]],
    "bits are missing": [DC, Scan((0,), 1, 63, 0, 1), AC[1], AC[2]],
    "a band comes twice": [DC, *AC, Scan((0,), 9, 9)],
    "the average comes last": [*AC, DC],
    "bits out of order": [Scan((0, 1, 2), 0, 0, 0, 2), *AC, Scan((0, 1, 2), 0, 0, 1, 0)],
}


@pytest.mark.parametrize("script", NOT_TOUCHED.values(), ids=NOT_TOUCHED)
def test_incomplete_scripts_are_not_touched(script: list[Scan]) -> None:
    """What libjpeg would guess, or warn of, takes the whole file."""
    data = encode(Drawing(75, 61, YUV420), script)
    assert scans.for_an_eighth(data) is None
    try:
        expected = _eighth(data)
    except ValueError:
        with pytest.raises(BadImage):
            jpeg.decode_eighth(data, "YCbCr", width=75, height=61)
    else:
        np.testing.assert_array_equal(
            jpeg.decode_eighth(data, "YCbCr", width=75, height=61), expected
        )


def test_other_jpegs_are_not_touched() -> None:
    """Baseline, arithmetic coding, two frames, no frame, other formats."""
    whole = encoded(drawn(), "JPEG", progressive=True)
    frame = whole.index(b"\xff\xc2")
    size = 2 + int.from_bytes(whole[frame + 2 : frame + 4], "big")
    others = [
        encoded(drawn(), "JPEG"),
        whole[:frame] + b"\xff\xca" + whole[frame + 2 :],
        whole[: frame + size] + whole[frame:],
        whole[:frame] + whole[frame + size :],
        whole[: frame + 4] + b"\x0c" + whole[frame + 5 :],
        encoded(drawn(), "PNG"),
        b"\xff\xd8\xff",
    ]
    assert scans.for_an_eighth(whole) is not None
    assert [scans.for_an_eighth(other) for other in others] == [None] * len(others)


def test_a_file_that_ends_early_is_never_touched() -> None:
    """At any length: `truncated` is found as in a full decode."""
    whole = encoded(drawn(), "JPEG", progressive=True)
    assert whole.endswith(b"\xff\xd9")
    assert all(scans.for_an_eighth(whole[:length]) is None for length in range(len(whole)))
    for length in range(700, len(whole), 97):
        with pytest.raises(BadImage) as caught:
            image_file.decode_to_resize(whole[:length], 4, max_pixels=MANY)
        assert caught.value.fault == refused(whole[:length])


def test_metadata_and_what_follows_the_image_do_not_matter() -> None:
    """Fill bytes between segments and a second image behind the first, as cameras write them."""
    whole = encoded(drawn(), "JPEG", progressive=True, comment=b"\xff\xd9\xff\xda")
    _assert_same(whole + whole)
    table = whole.index(b"\xff\xdb")
    assert scans.for_an_eighth(whole[:table] + b"\xff" + whole[table:]) is None
    assert _eighth(whole[:table] + b"\xff" + whole[table:]).shape == (6, 8, 3)


def damaged_in_a_dropped_scan() -> bytes:
    """Bytes behind those of luma's last scan, so that libjpeg warns in a full decode."""
    whole = encoded(drawn(400, 300), "JPEG", progressive=True, quality=90)
    last = whole.rindex(b"\xff\xda")
    assert whole[last + 4 : last + 6] == b"\x01\x01"
    return whole[:-2] + bytes(40) + whole[-2:]


def test_damage_that_is_not_looked_at() -> None:
    """At 1/8 it is not found; what packing and verification do finds it."""
    data = damaged_in_a_dropped_scan()
    refused(data)
    found = image_file.decode_to_resize(data, 16, max_pixels=MANY)
    whole = encoded(drawn(400, 300), "JPEG", progressive=True, quality=90)
    np.testing.assert_array_equal(found.pixels, _eighth(whole))
    looks = [
        lambda: image_file.check(data, max_pixels=MANY, whole=True),
        lambda: image_file.resize_jpeg(data, size=16, quality=90, max_pixels=MANY),
        lambda: image_file.decode_to_resize(data, 16, max_pixels=MANY, thorough=True),
        lambda: image_file.decode_to_resize(data, 64, max_pixels=MANY),
    ]
    for look in looks:
        with pytest.raises(BadImage):
            look()
