"""Good JPEGs, and thousands of damaged ones made of them: seeded, so that a failure comes back."""

from __future__ import annotations

import io
import random
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

WIDTH, HEIGHT = 60, 44


def good_jpegs() -> list[bytes]:
    """Small JPEGs of every common make, no two alike."""
    makes = [
        {"quality": 90},
        {"quality": 60, "subsampling": "4:2:0"},
        {"quality": 95, "subsampling": "4:4:4", "optimize": True},
        {"quality": 85, "progressive": True},
        {"quality": 80, "subsampling": "4:2:2", "restart_marker_blocks": 2},
        {"quality": 75, "gray": True},
    ]
    return [_jpeg(seed, **make) for seed, make in enumerate(makes * 3)]


def _jpeg(seed: int, *, gray: bool = False, **options: object) -> bytes:
    chance = np.random.default_rng(seed)
    y, x = np.mgrid[0 : 1 : HEIGHT * 1j, 0 : 1 : WIDTH * 1j]
    slopes = chance.uniform(-200, 200, (3, 2))
    ground = np.stack([128 + a * (x - 0.5) + b * (y - 0.5) for a, b in slopes], axis=2)
    top, left = chance.integers(0, 30, 2)
    ground[top : top + 14, left : left + 20] = chance.uniform(0, 255, 3)
    ground += chance.normal(0, 6, ground.shape)
    image = Image.fromarray(ground.clip(0, 255).astype(np.uint8))
    out = io.BytesIO()
    (image.convert("L") if gray else image).save(out, "JPEG", **options)
    return out.getvalue()


def mutants(count: int, *, seed: int) -> Iterator[tuple[str, bytes]]:
    """Yield (what was done, the damaged bytes)."""
    chance = random.Random(seed)
    seeds = good_jpegs()
    for number in range(count):
        data, change = chance.choice(seeds), KINDS[number % len(KINDS)]
        yield change.__name__, change(data, chance, seeds)


def flipped_bits(data: bytes, chance: random.Random, _seeds: Sequence[bytes]) -> bytes:
    """One to eight bits anywhere, the header included."""
    changed = bytearray(data)
    for _ in range(chance.choice([1, 1, 1, 2, 8])):
        changed[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def truncated(data: bytes, chance: random.Random, _seeds: Sequence[bytes]) -> bytes:
    """Cut anywhere, to nothing as well."""
    return data[: chance.randrange(len(data))]


def spliced(data: bytes, chance: random.Random, seeds: Sequence[bytes]) -> bytes:
    """The head of one and the tail of another, or a piece of it in between."""
    other = chance.choice(seeds)
    at, there = chance.randrange(len(data)), chance.randrange(len(other))
    if chance.random() < 0.5:
        return data[:at] + other[there:]
    return data[:at] + other[there : there + chance.randrange(1, 200)] + data[at:]


def zeroed(data: bytes, chance: random.Random, _seeds: Sequence[bytes]) -> bytes:
    """A block of zeros, as a bad sector or a sparse copy leaves."""
    at, length = chance.randrange(len(data)), chance.randrange(1, 513)
    return data[:at] + bytes(len(data[at : at + length])) + data[at + length :]


def removed(data: bytes, chance: random.Random, _seeds: Sequence[bytes]) -> bytes:
    """A piece left out."""
    at = chance.randrange(len(data))
    return data[:at] + data[at + chance.randrange(1, 100) :]


KINDS: tuple[Callable[[bytes, random.Random, Sequence[bytes]], bytes], ...] = (
    flipped_bits,
    truncated,
    spliced,
    zeroed,
    removed,
)
