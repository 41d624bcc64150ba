"""A writer of TIFFs of any kind, from the specification alone: what Pillow cannot write, too."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

import numpy as np

_FORMS = {1: "B", 2: "B", 3: "H", 4: "I", 16: "Q"}
_COMPRESSIONS = {1: bytes, 8: zlib.compress}


@dataclass(frozen=True)
class Kind:
    """How samples are laid out.

    Attributes:
        bits: of a sample.
        photometric: what they mean.
        order: '<' or '>'.
        compression: 1 (none) or 8 (deflate).
        planes: 1 (together) or 2 (each channel by itself).
        rows: of a strip; None: one strip.
        tile: width and height; None: strips.
        reversed_bits: fill order 2.
        samples_are: the sample format; None: not told.
        extra: what the channels behind the colors are.
        big: BigTIFF.
    """

    bits: int
    photometric: int
    order: str = "<"
    compression: int = 1
    planes: int = 1
    rows: int | None = None
    tile: tuple[int, int] | None = None
    reversed_bits: bool = False
    samples_are: int | None = None
    extra: tuple[int, ...] = ()
    big: bool = False


def write(
    samples: np.ndarray,
    kind: Kind,
    *,
    tags: dict[int, tuple[int, list[int]]] | None = None,
    without: tuple[int, ...] = (),
) -> bytes:
    """Write a TIFF.

    Args:
        samples: shape (H, W, channels), as stored.
        kind: the layout.
        tags: further ones, or others: tag -> type and values.
        without: tags to leave out.
    """
    parts = [samples] if kind.planes == 1 else [samples[:, :, [i]] for i in range(samples.shape[2])]
    pieces = [piece for part in parts for piece in _pieces(part, kind)]
    segments = [_COMPRESSIONS[kind.compression](_packed(piece, kind)) for piece in pieces]
    if kind.reversed_bits:
        segments = [bytes(int(f"{byte:08b}"[::-1], 2) for byte in one) for one in segments]
    return assemble(segments, samples.shape, kind, tags=tags, without=without)


def _pieces(part: np.ndarray, kind: Kind) -> list[np.ndarray]:
    height, width, channels = part.shape
    if kind.tile is None:
        rows = kind.rows or height
        return [part[at : at + rows] for at in range(0, height, rows)]
    across, down = kind.tile
    filled = np.zeros((-(-height // down) * down, -(-width // across) * across, channels), int)
    filled[:height, :width] = part
    return [
        filled[y : y + down, x : x + across]
        for y in range(0, height, down)
        for x in range(0, width, across)
    ]


def _packed(piece: np.ndarray, kind: Kind) -> bytes:
    """Rows of samples, each begun at a byte of its own."""
    rows = piece.reshape(len(piece), -1)
    if kind.bits >= 8 and kind.bits != 12:
        if kind.samples_are == 3:
            return rows.astype(f"{kind.order}f{kind.bits // 8}").tobytes()
        return (rows & ((1 << kind.bits) - 1)).astype(f"{kind.order}u{kind.bits // 8}").tobytes()
    shifts = np.arange(kind.bits - 1, -1, -1)
    bits = (rows[:, :, None] >> shifts & 1).reshape(len(rows), -1).astype(np.uint8)
    return np.packbits(bits, axis=1).tobytes()


def assemble(
    segments: list[bytes],
    shape: tuple[int, ...],
    kind: Kind,
    *,
    tags: dict[int, tuple[int, list[int]]] | None = None,
    without: tuple[int, ...] = (),
) -> bytes:
    """Put encoded strips or tiles into a TIFF of which they are the pixels; see `write`."""
    height, width, channels = shape
    order, big = kind.order, kind.big
    out = bytearray(bytes(16 if big else 8))
    offsets = []
    for segment in segments:
        offsets.append(len(out))
        out += segment + bytes(len(segment) % 2)
    lengths = [len(segment) for segment in segments]
    entries: dict[int, tuple[int, list[int]]] = {
        256: (4, [width]),
        257: (4, [height]),
        258: (3, [kind.bits] * channels),
        259: (3, [kind.compression]),
        262: (3, [kind.photometric]),
        277: (3, [channels]),
        284: (3, [kind.planes]),
    }
    if kind.tile is None:
        entries |= {273: (4, offsets), 278: (4, [kind.rows or height]), 279: (4, lengths)}
    else:
        entries |= {322: (4, [kind.tile[0]]), 323: (4, [kind.tile[1]])}
        entries |= {324: (4, offsets), 325: (4, lengths)}
    if kind.reversed_bits:
        entries[266] = 3, [2]
    if kind.samples_are is not None:
        entries[339] = 3, [kind.samples_are] * channels
    if kind.extra:
        entries[338] = 3, list(kind.extra)
    entries = {tag: one for tag, one in entries.items() if tag not in without} | (tags or {})
    room, offset = (8, "Q") if big else (4, "I")
    listed = b""
    for tag, (form, values) in sorted(entries.items()):
        value = struct.pack(f"{order}{len(values)}{_FORMS[form]}", *values)
        if len(value) > room:
            out += bytes(len(out) % 2)
            at = len(out)
            out += value
            value = struct.pack(order + offset, at)
        listed += struct.pack(order + ("HHQ" if big else "HHI"), tag, form, len(values))
        listed += value.ljust(room, b"\0")
    out += bytes(len(out) % 2)
    out[:4] = (b"II" if order == "<" else b"MM") + struct.pack(order + "H", 43 if big else 42)
    if big:
        out[4:8] = struct.pack(order + "HH", 8, 0)
    out[8 - room if not big else 8 : 8 if not big else 16] = struct.pack(order + offset, len(out))
    out += struct.pack(order + ("Q" if big else "H"), len(entries)) + listed + bytes(room)
    return bytes(out)
