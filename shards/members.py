"""The members of a sample besides its image: their names and contents."""

from __future__ import annotations

import io
import json
import re
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from shards.sample import Sample

LABELS: Final = "labels.npy"
DESCRIPTION: Final = "json"
NPY_HEADER_BYTES: Final = 128
"""Readers without .npy support (DALI) skip these; the rest is one int8 per class."""

_SHA256: Final = re.compile(r"[0-9a-f]{64}")


def npy_header(classes: int) -> bytes:
    """The header of an .npy file of int8, shape (classes,)."""
    file = io.BytesIO()
    np.lib.format.write_array(file, np.zeros(classes, np.int8), version=(1, 0))
    head = file.getvalue()[: len(file.getvalue()) - classes]
    assert len(head) == NPY_HEADER_BYTES, "NumPy changed its format"
    return head


@dataclass(frozen=True, slots=True)
class Description:
    """The contents of a packed sample's .json.

    Attributes:
        sample: the original path and the class names.
        width: image width, pixels.
        height: image height, pixels.
        sha256: hash of the image's bytes, hexadecimal.
    """

    sample: Sample
    width: int
    height: int
    sha256: str


def parse_description(text: bytes) -> Description | None:
    """Parse the .json of a packed sample; None if it is damaged or has another format."""
    try:
        value: Any = json.loads(text)
        sample = Sample(value["path"], tuple(value["labels"]), tuple(value["difficult"]))
        hash(sample)  # fails unless the names are strings and not, say, lists
        found = Description(sample, int(value["width"]), int(value["height"]), value["sha256"])
    except (ValueError, TypeError, KeyError):
        return None
    return found if isinstance(sample.path, str) and sample.path else None


def hash_in(value: Any) -> str | None:
    """The hash that a .json states, hexadecimal; None if it is not one."""
    return value if isinstance(value, str) and _SHA256.fullmatch(value) else None
