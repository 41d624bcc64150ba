"""The members of a sample beside its picture: their names, and the form of the labels."""

from __future__ import annotations

import io
from typing import Final

import numpy as np

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
