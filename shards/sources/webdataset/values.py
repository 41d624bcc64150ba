"""Parses the label of one sample: a class index, a vector of numbers, or names."""

from __future__ import annotations

import io
import json
import math
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

KINDS: Final = ("cls", "npy", "json")
"""Last parts of extensions that hold labels."""
LARGEST: Final = 16 << 20
"""Bytes of one label; anything larger is something else."""
_LONGEST_HEADER: Final = 1 << 16
"""Bytes of a .npy header; NumPy refuses longer ones itself."""
_ADDRESS: Final = re.compile(r" at 0x[0-9a-f]+")
_FIELDS: Final = frozenset(
    f"{word}{end}"
    for word in ("label", "class", "tag", "category", "target")
    for end in ("", "s", "es", "_name", "_names")
) | {"cls", "categories"}


class BadValueError(Exception):
    """The label of a sample cannot be used; `str()` gives the reason."""


class Value(NamedTuple):
    """The label of one sample; one of the two is set.

    Attributes:
        numbers: a class index, several, or one number per class.
        names: classes by name.
    """

    numbers: tuple[float, ...] | None = None
    names: tuple[str, ...] | None = None


def parse(data: bytes, kind: str, fields: Sequence[str] = ()) -> Value:
    """Parse one label.

    Args:
        data: the bytes of the member.
        kind: one of `KINDS`.
        fields: for 'json': the fields with labels; () for the whole value.

    Raises:
        BadValueError: it has another form.
    """
    if len(data) > LARGEST:
        raise BadValueError("larger than 16 MiB")
    if kind == "npy":
        return _parse_npy(data)
    if kind == "cls":
        return _parse_text(data)
    value = parse_json(data)
    if not fields:
        return _from_json(value)
    if not isinstance(value, Mapping):
        raise BadValueError("no fields in it")
    if absent := [field for field in fields if field not in value]:
        raise BadValueError(f"no field {absent[0]!r}")
    if len(fields) == 1:
        return _from_json(value[fields[0]])
    return _from_json({field: value[field] for field in fields})


def parse_json(data: bytes) -> Any:
    """Parse JSON.

    Raises:
        BadValueError: it is not JSON.
    """
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise BadValueError(f"not JSON: {error}") from None


def label_fields(value: object) -> list[str]:
    """The fields of a JSON object that are called like labels."""
    return [key for key in value if key.lower() in _FIELDS] if isinstance(value, dict) else []


def _parse_text(data: bytes) -> Value:
    """An index, or names separated by line ends or ';'."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadValueError(f"not text (byte {error.start})") from None
    parts = [part.strip() for line in text.splitlines() for part in line.split(";")]
    parts = [part for part in parts if part]
    if parts and all(_is_integer(part) for part in parts):
        return Value(numbers=tuple(map(float, parts)))
    return Value(names=tuple(parts))


def _is_integer(text: str) -> bool:
    digits = text.removeprefix("-")
    return digits.isascii() and digits.isdigit() and len(digits) < 16


def _parse_npy(data: bytes) -> Value:
    """An array of at most one dimension. Nothing is unpickled, and its size is checked first."""
    digits = 2 if data[6:7] == b"\x01" else 4
    end = 8 + digits + int.from_bytes(data[8 : 8 + digits], "little")
    shape, dtype = _npy_header(data[: min(end, _LONGEST_HEADER)])
    count = math.prod(shape)
    if dtype.kind not in "biufU" or sum(side != 1 for side in shape) > 1:
        raise BadValueError(f"an array of {dtype}, shape {shape}, not a vector of numbers or names")
    if not dtype.itemsize or len(data) - end != count * dtype.itemsize:
        raise BadValueError("the .npy file is truncated")
    values = np.frombuffer(data, dtype, count, end).tolist()
    return _from_json(values if shape else values[0])


@lru_cache(maxsize=64)
def _npy_header(head: bytes) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Shape and type in a header; cached, since all labels of a set usually have the same one.

    Raises:
        BadValueError: it is not a header that is read here.
    """
    file = io.BytesIO(head)
    try:
        version = np.lib.format.read_magic(file)
        if version not in ((1, 0), (2, 0)):
            raise BadValueError(f"version {version} of .npy")
        read = np.lib.format.read_array_header_1_0
        if version == (2, 0):
            read = np.lib.format.read_array_header_2_0
        shape, _, dtype = read(file)
    except (ValueError, EOFError) as error:
        # An address would make the list of rejected images differ from run to run.
        why = _ADDRESS.sub("", str(error).splitlines()[0])
        raise BadValueError(f"not a .npy file: {why}") from None
    return shape, dtype


def _from_json(value: object) -> Value:
    """An index, a name, a list of one of them or of 0 and 1, or an object of 0 and 1."""
    if isinstance(value, dict):
        if not all(isinstance(one, (int, float)) and one in (0, 1) for one in value.values()):
            raise BadValueError("an object whose values are not all 0 or 1")
        return Value(names=tuple(str(key) for key, one in value.items() if one))
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return Value(numbers=_floats([value]))
    if isinstance(value, str) and value.strip():
        return Value(names=(value.strip(),))
    if isinstance(value, list):
        if all(isinstance(one, (int, float)) for one in value) and value:
            return Value(numbers=_floats(value))
        if all(isinstance(one, str) and one.strip() for one in value):
            return Value(names=tuple(one.strip() for one in value))
    raise BadValueError("neither an index nor a name nor a list of them")


def _floats(values: Sequence[float]) -> tuple[float, ...]:
    try:
        return tuple(map(float, values))
    except OverflowError:
        raise BadValueError("a number that is too large") from None
