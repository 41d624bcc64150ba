"""Finds out whether an ONNX file refers to other files, without the package onnx.

A reader of such a file opens whatever files it names. So a run's model must contain all of its
weights, and this is checked before any library reads it.

Source: the encoding of protocol buffers, https://protobuf.dev/programming-guides/encoding/, and the
numbers of fields in onnx.proto3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_TENSOR: Final = "tensor"
_MESSAGES: Final[dict[str, dict[int, str]]] = {
    "model": {7: "graph", 25: "function", 20: "training"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: _TENSOR, 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {
        5: _TENSOR,
        6: "graph",
        10: _TENSOR,
        11: "graph",
        22: "sparse",
        23: "sparse",
    },
    "sparse": {1: _TENSOR, 2: _TENSOR},
}
"""Messages that may contain a tensor: the field's number -> the message in it."""
_LOCATION, _DATA_LOCATION = 13, 14
"""Fields of a tensor: where its values are, and whether they are in another file."""
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_DEEPEST = 200


def has_external_data(data: bytes) -> bool:
    """Return whether a tensor's values are in another file.

    Args:
        data: the bytes of an ONNX file.

    Raises:
        ValueError: it is not a protocol buffer.
    """
    waiting = [("model", 0, len(data), 0)]
    while waiting:
        kind, start, end, depth = waiting.pop()
        if depth > _DEEPEST:
            raise ValueError("its graphs are nested too deeply")
        for number, wire, at, to in _fields(data, start, end):
            if kind == _TENSOR:
                if number == _LOCATION or (number == _DATA_LOCATION and _varint(data, at, end)[0]):
                    return True
            elif wire == _BYTES and number in _MESSAGES[kind]:
                waiting.append((_MESSAGES[kind][number], at, to, depth + 1))
    return False


def _fields(data: bytes, start: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """Yield each field: its number, its kind, and where its content begins and ends."""
    at = start
    while at < end:
        tag, at = _varint(data, at, end)
        wire = tag & 7
        if wire == _VARINT:
            to = _varint(data, at, end)[1]
        elif wire == _BYTES:
            length, at = _varint(data, at, end)
            to = at + length
        elif wire in (_FIXED64, _FIXED32):
            to = at + (8 if wire == _FIXED64 else 4)
        else:
            raise ValueError(f"a field of kind {wire}")
        if to > end:
            raise ValueError("it ends too early")
        yield tag >> 3, wire, at, to
        at = to


def _varint(data: bytes, at: int, end: int) -> tuple[int, int]:
    """Return the number at a position, and the position behind it."""
    value = 0
    for shift in range(0, 70, 7):
        if at >= end:
            raise ValueError("it ends too early")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise ValueError("a number that does not end")
