"""The formats that a network can be exported to, by how the file's name ends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vocscore.errors import ExportError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from vocscore.exporting.whole import Whole

    Run = Callable[[NDArray[np.uint8]], NDArray[np.float32]]


@dataclass(frozen=True)
class Format:
    """How one kind of file is made and run.

    Attributes:
        name: for people.
        suffixes: of its files; the first one is the file that a consumer names.
        require: raises ExportError where it cannot be made here.
        write: (network, file, facts) -> the files.
        runner: file -> pixels, uint8 (N, S, S, 3) -> probabilities, float32 (N, C).
    """

    name: str
    suffixes: tuple[str, ...]
    require: Callable[[], None]
    write: Callable[[Whole, Path, Mapping[str, Any]], None]
    runner: Callable[[Path], Run]

    def files(self, file: Path) -> list[Path]:
        """All files of an export, the one that a consumer names first."""
        return [*(file.with_suffix(suffix) for suffix in self.suffixes), description(file)]


def description(file: Path) -> Path:
    """Where the JSON lies that describes a file: beside it, with '.json' added to its name."""
    return file.with_name(f"{file.name}.json")


def format_of(file: Path) -> Format:
    """The format that a file's name asks for.

    Raises:
        ExportError: none.
    """
    from vocscore.exporting import onnx_file, openvino_file

    known = (
        Format("ONNX", (".onnx",), onnx_file.require, onnx_file.write, onnx_file.runner),
        Format(
            "OpenVINO",
            (".xml", ".bin"),
            openvino_file.require,
            openvino_file.write,
            openvino_file.runner,
        ),
    )
    for each in known:
        if file.suffix == each.suffixes[0]:
            return each
    raise ExportError(f"{file}: name a file that ends in .onnx (ONNX) or .xml (OpenVINO).")


def check_place(out: Path, *, overwrite: bool) -> None:
    """Refuse a place that cannot be written, before any work is done.

    Raises:
        ExportError: no such format, a folder that is missing, or a file that is there already.
    """
    made = format_of(out)
    if not out.parent.is_dir():
        raise ExportError(f"{out.parent}: no such folder. Make it, or name another with -o.")
    there = next((file for file in made.files(out) if file.exists()), None)
    if there is not None and not overwrite:
        raise ExportError(f"{there}: is there already. Replace it with --overwrite.")
