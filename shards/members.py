"""The members of a sample beside its image: their names, and what they look like inside."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from shards.sample import Sample

LABELS: Final = "labels.npy"
DESCRIPTION: Final = "json"
NPY_HEADER_BYTES: Final = 128
"""Readers that know no .npy (DALI) cut these off; the rest is one int8 a class."""


def npy_header(classes: int) -> bytes:
    """Make the header of an .npy file of int8, shape (classes,)."""
    file = io.BytesIO()
    np.lib.format.write_array(file, np.zeros(classes, np.int8), version=(1, 0))
    head = file.getvalue()[: len(file.getvalue()) - classes]
    assert len(head) == NPY_HEADER_BYTES, "NumPy changed its format"
    return head


@dataclass(frozen=True, slots=True)
class Description:
    """What the .json of a packed sample says.

    Attributes:
        sample: the original path and the names of the labels.
        width: of the image, pixels.
        height: likewise.
        sha256: of the image's bytes, hexadecimal.
    """

    sample: Sample
    width: int
    height: int
    sha256: str


def parse_description(text: bytes) -> Description | None:
    """Read the .json of a packed sample; None where it is damaged or another's."""
    try:
        value: Any = json.loads(text)
        sample = Sample(value["path"], tuple(value["labels"]), tuple(value["difficult"]))
        hash(sample)  # names, and not lists of them
        found = Description(sample, int(value["width"]), int(value["height"]), value["sha256"])
    except (ValueError, TypeError, KeyError):
        return None
    return found if isinstance(sample.path, str) and sample.path else None
