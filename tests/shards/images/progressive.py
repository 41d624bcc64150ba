"""A small encoder of progressive JPEGs, for scripts of scans that no library writes."""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Scan:
    """Components (by place), first and last coefficient, and the bits told before and left out."""

    components: tuple[int, ...]
    first: int
    last: int
    high: int = 0
    low: int = 0


@dataclass(frozen=True)
class Drawing:
    """Random coefficients of an image.

    `sampling` holds (across, down) of each component.
    """

    width: int
    height: int
    sampling: tuple[tuple[int, int], ...]
    seed: int = 0

    def blocks(self, component: int) -> np.ndarray:
        """Shape (rows, columns, 64), in zigzag order, padded to whole MCUs."""
        across, down = self.sampling[component]
        rows, columns = self.mcus
        random = np.random.default_rng((self.seed, component))
        shape = (rows * down, columns * across, 64)
        values = random.integers(-40, 41, shape) * (random.random(shape) < 0.2)
        values[..., 0] = random.integers(-60, 61, shape[:2])
        return values

    @property
    def most(self) -> tuple[int, int]:
        return max(a for a, _ in self.sampling), max(d for _, d in self.sampling)

    @property
    def mcus(self) -> tuple[int, int]:
        """Rows and columns of MCUs in a scan of several components."""
        across, down = self.most
        return -(-self.height // (8 * down)), -(-self.width // (8 * across))

    def own(self, component: int) -> tuple[int, int]:
        """Rows and columns of blocks in a scan of the component alone."""
        (across, down), (most_across, most_down) = self.sampling[component], self.most
        rows, columns = -(-self.height * down // most_down), -(-self.width * across // most_across)
        return -(-rows // 8), -(-columns // 8)


def encode(drawing: Drawing, script: list[Scan], *, restarts: int = 0) -> bytes:
    """Write a progressive JPEG with a script; refinements are of the average (DC) only."""
    parts = [b"\xff\xd8", _segment(0xDB, bytes([0, *[8] * 64]))]
    body = struct.pack(">BHHB", 8, drawing.height, drawing.width, len(drawing.sampling))
    for name, (across, down) in enumerate(drawing.sampling, 1):
        body += bytes([name, across << 4 | down, 0])
    parts.append(_segment(0xC2, body))
    # 16 codes of five bits for DC; for AC 128 of eight bits and 128 of nine.
    parts.append(_segment(0xC4, bytes([0, 0, 0, 0, 0, 16, *[0] * 11, *range(16)])))
    parts.append(_segment(0xC4, bytes([0x10, *[0] * 7, 128, 128, *[0] * 7, *range(256)])))
    if restarts:
        parts.append(_segment(0xDD, struct.pack(">H", restarts)))
    for scan in script:
        header = bytes([len(scan.components)])
        header += b"".join(bytes([place + 1, 0]) for place in scan.components)
        header += bytes([scan.first, scan.last, scan.high << 4 | scan.low])
        parts += [_segment(0xDA, header), _entropy(drawing, scan, restarts)]
    return b"".join([*parts, b"\xff\xd9"])


def _segment(marker: int, body: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


def _mcus(drawing: Drawing, scan: Scan) -> list[list[tuple[int, np.ndarray]]]:
    """The blocks of a scan, by MCU, each with its component."""
    if len(scan.components) == 1:
        component = scan.components[0]
        rows, columns = drawing.own(component)
        blocks = drawing.blocks(component)[:rows, :columns].reshape(-1, 64)
        return [[(component, block)] for block in blocks]
    rows, columns = drawing.mcus
    found = []
    for row in range(rows):
        for column in range(columns):
            mcu = []
            for component in scan.components:
                across, down = drawing.sampling[component]
                part = drawing.blocks(component)[
                    row * down : (row + 1) * down, column * across : (column + 1) * across
                ]
                mcu += [(component, block) for block in part.reshape(-1, 64)]
            found.append(mcu)
    return found


def _entropy(drawing: Drawing, scan: Scan, restarts: int) -> bytes:
    done, bits, before = b"", [], dict.fromkeys(scan.components, 0)
    for number, mcu in enumerate(_mcus(drawing, scan)):
        if restarts and number and number % restarts == 0:
            done += _stuffed(bits) + bytes([0xFF, 0xD0 + (number // restarts - 1) % 8])
            bits, before = [], dict.fromkeys(scan.components, 0)
        for component, block in mcu:
            if scan.first == 0:
                value = int(block[0]) >> scan.low
                if scan.high:
                    bits.append(str(value & 1))
                else:
                    bits.append(_number(value - before[component], "05b"))
                    before[component] = value
            else:
                bits.append(_band(block[scan.first : scan.last + 1], scan.low))
    return done + _stuffed(bits)


def _band(values: np.ndarray, low: int) -> str:
    values = np.sign(values) * (np.abs(values) >> low)
    bits, run = "", 0
    for value in values.tolist():
        if value == 0:
            run += 1
            continue
        while run > 15:
            bits, run = bits + _code(0xF0), run - 16
        size = abs(value).bit_length()
        bits += _code(run << 4 | size) + _low_bits(value, size)
        run = 0
    return bits + _code(0) if run else bits


def _number(value: int, form: str) -> str:
    size = abs(value).bit_length()
    return format(size, form) + _low_bits(value, size)


def _low_bits(value: int, size: int) -> str:
    if not size:
        return ""
    return format(value if value > 0 else value + (1 << size) - 1, f"0{size}b")


def _code(symbol: int) -> str:
    return format(symbol, "08b") if symbol < 128 else format(symbol + 128, "09b")


def _stuffed(bits: list[str]) -> bytes:
    whole = "".join(bits)
    whole += "1" * (-len(whole) % 8)
    return int(whole or "0", 2).to_bytes(len(whole) // 8, "big").replace(b"\xff", b"\xff\0")
