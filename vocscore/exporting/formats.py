"""The export formats, chosen by the suffix of the file's name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vocscore.errors import ExportError
from vocscore.exporting import onnx_file, openvino_file
from vocscore.exporting.base import Format

if TYPE_CHECKING:
    from pathlib import Path

FORMATS = (
    Format("ONNX", (".onnx",), onnx_file.require, onnx_file.write, onnx_file.runner),
    Format(
        "OpenVINO",
        (".xml", ".bin"),
        openvino_file.require,
        openvino_file.write,
        openvino_file.runner,
    ),
)


def format_of(file: Path) -> Format:
    """Return the format for a file's name.

    Raises:
        ExportError: the suffix is unknown.
    """
    for each in FORMATS:
        if file.suffix == each.suffixes[0]:
            return each
    raise ExportError(f"{file}: name a file that ends in .onnx (ONNX) or .xml (OpenVINO).")


def check_place(out: Path, *, overwrite: bool) -> None:
    """Refuse an output that cannot be written, before any work is done.

    Raises:
        ExportError: the format is unknown, the folder is missing, or a file exists already.
    """
    made = format_of(out)
    if not out.parent.is_dir():
        raise ExportError(f"{out.parent}: no such folder. Make it, or name another with `output`.")
    there = next((file for file in made.files(out) if file.exists()), None)
    if there is not None and not overwrite:
        raise ExportError(f"{there}: already exists. Replace it with `overwrite=True`.")
