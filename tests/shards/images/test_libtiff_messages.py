"""What libtiff says of a damaged TIFF stands in its verdict, and not on standard error."""

from __future__ import annotations

import io
import re
import subprocess
import sys

import numpy as np
import pytest
from encoded import decoded, drawn, encoded, refused
from PIL import Image

from shards.errors import BadImage

FAX = drawn(200, 150).convert("1")


def _damaged(data: bytes, seed: int) -> bytes:
    random = np.random.default_rng(seed)
    out = bytearray(data)
    for _ in range(4):
        out[random.integers(9, len(out) - 300)] ^= 1 << int(random.integers(8))
    return bytes(out)


@pytest.mark.parametrize(
    ("compression", "mode", "words"),
    [
        ("tiff_lzw", "RGB", "LZWDecode: |libtiff: Using code not yet in table"),
        ("tiff_adobe_deflate", "RGB", "ZIPDecode: Decoding error"),
        ("group4", "1", "Fax4Decode: "),
    ],
)
def test_the_verdict_has_libtiffs_words(compression: str, mode: str, words: str) -> None:
    """Where the decoder fails, or makes pixels of its own, the row says what libtiff said."""
    whole = encoded(drawn(200, 150).convert(mode), "TIFF", compression=compression)
    verdicts = [_outcome(_damaged(whole, seed)) for seed in range(30)]
    assert sum(bool(re.match(f"corrupt: ({words})", one)) for one in verdicts) >= 3
    assert not any("decoder error" in one for one in verdicts)


def _outcome(data: bytes) -> str:
    try:
        decoded(data)
    except BadImage as bad:
        return str(bad)
    return "whole"


def test_fax_pages_with_bad_codes_are_refused() -> None:
    """Lines that libtiff cannot read and fills up, which Pillow accepts, make a page corrupt."""
    whole = encoded(FAX, "TIFF", compression="group4")
    np.testing.assert_array_equal(decoded(whole), np.asarray(FAX.convert("RGB")))
    middle = len(whole) // 2
    damaged = whole[:middle] + b"\x5a\xa5\x5a" + whole[middle + 3 :]
    Image.open(io.BytesIO(damaged)).load()
    assert str(refused(damaged)).startswith("corrupt: Fax4Decode: ")


_FLOOD = """
import io, os, sys, threading
import numpy as np
from PIL import Image
from shards.errors import BadImage
from shards.images import image_file

def encoded(form, mode="RGB", **options):
    out = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    Image.fromarray(noise).convert(mode).save(out, form, **options)
    return out.getvalue()

files = [encoded(form) for form in ("PNG", "WEBP", "GIF", "BMP", "PPM", "JPEG", "AVIF")]
files += [
    encoded("TIFF", mode, compression=name)
    for name, mode in [("tiff_lzw", "RGB"), ("tiff_adobe_deflate", "RGB"), ("jpeg", "RGB"),
                       ("packbits", "RGB"), ("group3", "1"), ("group4", "1"), (None, "RGB")]
]
refused = 0

def decode(seed):
    global refused
    random = np.random.default_rng(seed)
    for data in files * 12:
        damaged = bytearray(data)
        for _ in range(random.integers(1, 6)):
            damaged[random.integers(4, len(damaged))] = random.integers(256)
        try:
            image_file.decode(bytes(damaged), max_pixels=10**6)
        except BadImage:
            refused += 1

def write():
    for number in range(300):
        os.write(2, b"mine %d\\n" % number)

threads = [threading.Thread(target=decode, args=(n,)) for n in range(3)]
threads.append(threading.Thread(target=write))
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(refused)
"""


def test_standard_error_is_left_to_the_program() -> None:
    """Threads that decode hundreds of damaged images write nothing, and take nothing away."""
    done = subprocess.run(
        [sys.executable, "-c", _FLOOD], capture_output=True, text=True, check=True, timeout=120
    )
    assert int(done.stdout) > 100
    assert done.stderr.splitlines() == [f"mine {number}" for number in range(300)]


_SOMEONE_ELSE = """
import io, sys
from PIL import Image
from shards.images import image_file
out = io.BytesIO()
Image.new("RGB", (40, 40)).save(out, "TIFF", compression="tiff_adobe_deflate")
whole = out.getvalue()
image_file.decode(whole, max_pixels=10**6)
at = whole.index(b"x\\x9c") + 5 if b"x\\x9c" in whole else 20
try:
    Image.open(io.BytesIO(whole[:at] + b"nonsense" + whole[at + 8:])).load()
except OSError:
    print("refused")
"""


def test_others_in_the_process_still_hear_libtiff() -> None:
    """Only what is decoded here is quiet: a program that uses Pillow itself sees its errors."""
    done = subprocess.run(
        [sys.executable, "-c", _SOMEONE_ELSE],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout == "refused\n"
    assert "ZIPDecode" in done.stderr
