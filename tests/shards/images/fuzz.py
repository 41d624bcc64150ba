"""Tries to break the decoder of baseline JPEGs (`native/`): `make fuzz`.

Small JPEGs of many kinds are damaged at random. Whatever the code in C accepts must be accepted by
libjpeg-turbo without a warning, with the same pixels. `make fuzz` builds it with the sanitizers of
addresses and undefined behavior, which end the process at the first read or write out of bounds.
"""

from __future__ import annotations

import argparse
import io
import sys
from dataclasses import dataclass
from importlib.machinery import ExtensionFileLoader
from importlib.util import module_from_spec, spec_from_loader
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from shards.errors import BadImage
from shards.images import baseline, jpeg

if TYPE_CHECKING:
    from collections.abc import Callable

    Damage = Callable[[np.random.Generator, bytearray], None]

_SIZES = ((61, 47), (33, 80), (16, 16), (7, 130))
_OPTIONS: tuple[dict[str, object], ...] = (
    {"subsampling": "4:2:0"},
    {"subsampling": "4:2:2", "restart_marker_blocks": 3},
    {"subsampling": "4:4:4", "optimize": True},
    {"subsampling": "4:2:0", "restart_marker_rows": 1, "optimize": True},
)
_MARKERS = (0x00, 0xC0, 0xC2, 0xC4, 0xD0, 0xD3, 0xD9, 0xDA, 0xDB, 0xDD, 0xEE, 0xFF)


@dataclass
class Counts:
    """What became of the files.

    Attributes:
        files: all of them.
        accepted: those that the code in C decoded.
        refused: those that libjpeg-turbo refuses.
    """

    files: int = 0
    accepted: int = 0
    refused: int = 0


def seeds() -> list[bytes]:
    """Undamaged files: sizes, qualities, subsamplings, restart intervals, tables of their own."""
    found = []
    for number, (width, height) in enumerate(_SIZES):
        noise = np.random.default_rng(number).normal(128, 40, (height, width, 3))
        smooth = np.linspace(0, 255, width)[None, :, None] * np.ones((height, 1, 3))
        for quality, strength in ((40, 0.1), (85, 0.5), (98, 1.0)):
            pixels = (noise * strength + smooth * (1 - strength)).clip(0, 255).astype(np.uint8)
            image = Image.fromarray(pixels)
            found += [_encoded(image, quality=quality, **options) for options in _OPTIONS]
            found.append(_encoded(image.convert("L"), quality=quality))
            found.append(_by_adobe(found[-2]))
    return found


def _encoded(image: Image.Image, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, "JPEG", **options)
    return out.getvalue()


def _by_adobe(data: bytes) -> bytes:
    """The same image with Adobe's color transform in place of JFIF."""
    return data[:2] + b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0\1" + data[20:]


def damaged(random: np.random.Generator, data: bytes) -> bytes:
    """One to four damages of different kinds, half of them in the coded data."""
    work = bytearray(data)
    for _ in range(int(random.integers(1, 5))):
        if len(work) > 4:
            _DAMAGES[random.integers(len(_DAMAGES))](random, work)
    return bytes(work)


def _place(random: np.random.Generator, work: bytearray) -> int:
    start = max(0, work.rfind(b"\xff\xda")) if random.random() < 0.5 else 2
    return int(random.integers(min(start, len(work) - 1), len(work)))


def _flip(random: np.random.Generator, work: bytearray) -> None:
    work[_place(random, work)] ^= 1 << int(random.integers(8))


def _set(random: np.random.Generator, work: bytearray) -> None:
    work[_place(random, work)] = int(random.integers(256))


def _mark(random: np.random.Generator, work: bytearray) -> None:
    at = _place(random, work)
    work[at : at + 2] = bytes([0xFF, _MARKERS[random.integers(len(_MARKERS))]])


def _delete(random: np.random.Generator, work: bytearray) -> None:
    at = _place(random, work)
    del work[at : at + int(random.integers(1, 9))]


def _insert(random: np.random.Generator, work: bytearray) -> None:
    at = _place(random, work)
    work[at:at] = random.bytes(int(random.integers(1, 9)))


def _repeat(random: np.random.Generator, work: bytearray) -> None:
    at, to = _place(random, work), _place(random, work)
    work[to:to] = work[at : at + int(random.integers(1, 65))]


def _cut(random: np.random.Generator, work: bytearray) -> None:
    if random.random() < 0.2:
        del work[_place(random, work) :]


_DAMAGES: tuple[Damage, ...] = (_flip, _flip, _set, _mark, _delete, _insert, _repeat, _cut)


def compare(data: bytes, counts: Counts) -> None:
    """Decode one file both ways.

    Raises:
        ValueError: it is accepted in C alone, or with other pixels.
    """
    counts.files += 1
    try:
        known = jpeg.header(data)
    except BadImage:
        known = None
    width, height, colors = known or (8, 8, "unknown")
    pixels = baseline.decode_eighth(data, width=width, height=height)
    if colors not in jpeg.PLAIN_COLORS or width * height > 1 << 22:
        return  # never asked for in C: it only must not crash
    try:
        truth = jpeg.decode(data, least=((width + 7) // 8, (height + 7) // 8))
    except BadImage as bad:
        counts.refused += 1
        if pixels is not None:
            raise ValueError(f"accepted in C alone ({bad}): {data.hex()}") from bad
        return
    counts.accepted += pixels is not None
    if pixels is not None and not np.array_equal(pixels, truth):
        raise ValueError(f"other pixels: {data.hex()}")


def run(number: int, *, seed: int) -> Counts:
    """Compare `number` damaged files, and the undamaged ones.

    Raises:
        ValueError: as for `compare`; or an undamaged file is not decoded in C.
    """
    whole, counts = seeds(), Counts()
    for data in whole:
        compare(data, counts)
    if counts.accepted != len(whole):
        raise ValueError(f"{counts.accepted} of {len(whole)} undamaged files are decoded in C")
    random = np.random.default_rng(seed)
    for _ in range(number):
        compare(damaged(random, whole[random.integers(len(whole))]), counts)
    return counts


def main() -> None:
    """Read the command line, compare, print the counts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--number", type=int, default=1_000_000, help="damaged files [1000000]")
    parser.add_argument("--seed", type=int, default=0, help="of the random numbers [0]")
    parser.add_argument("--library", help="a build of the module to be tested [the installed one]")
    asked = parser.parse_args()
    if asked.library:
        loader = ExtensionFileLoader("_baseline", asked.library)
        spec = spec_from_loader("_baseline", loader)
        if spec is None:
            sys.exit(f"{asked.library} is not a module")
        baseline._native = module_from_spec(spec)
    sys.stdout.write(f"{run(asked.number, seed=asked.seed)}\n")


if __name__ == "__main__":
    main()
