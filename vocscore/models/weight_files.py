"""Recognizes files of weights and other files, without importing torch."""

from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shards.files import open_regular
from shards.image_formats import sniff
from vocscore.errors import CheckpointError
from vocscore.models.card import CARD_FILE, ONNX_FILE, WEIGHTS_FILE
from vocscore.models.card_file import load_card

if TYPE_CHECKING:
    from typing import BinaryIO

    from vocscore.models.card import ModelCard

WORDS = ("imagenet", "none")
"""Values of `--weights` that are not files."""

_SNIFFED = 512
_LENGTH_BYTES = 8
"""Size of the length field at the start of a safetensors file."""
_TAKES = "`weights` takes 'imagenet', 'none', a file of weights or a run of this program."
_SAVE = "Save a state dict with torch.save(model.state_dict(), FILE) or as safetensors."

_TEXTS = (
    (b"version https://git-lfs", "a Git LFS pointer, not the file itself", "Run: git lfs pull"),
    (b"<!doctype html", "an HTML page", "Download the file itself, not the page that shows it"),
    (b"<html", "an HTML page", "Download the file itself, not the page that shows it"),
    (b"<", "XML, as object stores return it for errors", "Download it again"),
    (b"{", "JSON without weights", "Name the file of the weights"),
)
_BYTES = (
    (0, b"\x89HDF", "an HDF5 file, as Keras writes it", _SAVE),
    (0, b"\x1f\x8b", "compressed with gzip", "Unpack it first."),
    (0, b"\xfd7zXZ", "compressed with xz", "Unpack it first."),
    (0, b"\x28\xb5\x2f\xfd", "compressed with zstd", "Unpack it first."),
    (0, b"BZh", "compressed with bzip2", "Unpack it first."),
    (0, b"7z\xbc\xaf", "a 7z archive", "Unpack it first."),
    (0, b"Rar!", "a RAR archive", "Unpack it first."),
    (0, b"\x93NUMPY", "a NumPy array", _SAVE),
    (0, b"GGUF", "a GGUF file", _SAVE),
    (4, b"TFL3", "a TensorFlow Lite model", _SAVE),
    (257, b"ustar", "a tar archive", "Unpack it first."),
)
_SUFFIXES = {
    ".onnx": "an ONNX model",
    ".pb": "a TensorFlow model",
    ".engine": "a TensorRT engine",
    ".xml": "an OpenVINO model",
}


def run_of(weights: str) -> Path | None:
    """Return the folder of a run, named by its folder or its weights; None if it is not a run.

    Args:
        weights: the value of `--weights`.
    """
    path = Path(weights)
    folder = path.parent if path.name in (WEIGHTS_FILE, ONNX_FILE) else path
    if weights in WORDS or not (folder / CARD_FILE).is_file():
        return None
    there = any((folder / name).is_file() for name in (WEIGHTS_FILE, ONNX_FILE))
    return folder if there else None


def run_card(folder: Path, *, backbone: str) -> ModelCard:
    """Read the card of a run whose weights another training starts from.

    Raises:
        CheckpointError: it is damaged, or has another backbone.
    """
    card = load_card(folder)
    if card.onnx is not None:
        raise CheckpointError(
            f"{folder}: a model in ONNX, which cannot be trained further. Start from other weights."
        )
    if card.backbone != backbone:
        raise CheckpointError(
            f"{folder}: a run of the backbone {card.backbone}, but `backbone` is {backbone}. "
            f"Add `backbone={card.backbone!r}`, or start from other weights."
        )
    return card


def weight_file(weights: str) -> Path:
    """Return the file of the weights: as named, or in the run that is named."""
    folder = run_of(weights)
    return Path(weights) if folder is None else folder / WEIGHTS_FILE


def check_weights(weights: str, *, backbone: str) -> None:
    """Refuse files that are not weights, without importing torch.

    Args:
        weights: 'imagenet', 'none', a file, or the folder of a run.
        backbone: the backbone to use them for.

    Raises:
        CheckpointError: there is no such file, it is not weights, or a run of another backbone.
    """
    if weights in WORDS:
        return
    folder = run_of(weights)
    if folder is not None:
        run_card(folder, backbone=backbone)
    check_file(weight_file(weights), named=weights)


def check_file(file: Path, *, named: str, takes: str = _TAKES) -> None:
    """Refuse a file that does not contain weights, and name its kind.

    Args:
        file: path of the file.
        named: the path as the user gave it.
        takes: the sentence that says what is expected.

    Raises:
        CheckpointError: it is missing, not a regular file, or contains something else.
    """
    try:
        with os.fdopen(open_regular(file), "rb") as opened:
            found = _what_else(opened, file)
    except FileNotFoundError as error:
        raise CheckpointError(f"{named}: no such file. {_hint(named, takes)}") from error
    except (OSError, ValueError) as error:  # ValueError: a name with a zero byte
        said = error.strerror if isinstance(error, OSError) else str(error)
        raise CheckpointError(f"{named}: {said}. {_hint(named, takes)}") from error
    if found is not None:
        what, cure = found
        cure = takes if cure is _TAKES else cure
        raise CheckpointError(f"{named}: {what}. {cure.rstrip('.')}.")


def first_line(error: BaseException) -> str:
    """Return the first line of an error, without its period, to be quoted in another one."""
    return (str(error).splitlines() or ["no reason given"])[0].rstrip(".")


def _hint(named: str, takes: str) -> str:
    if "://" in named:
        return "It is a URL: download the file, and give its path."
    if named.lower() in WORDS:
        return f"Write it {named.lower()!r}."
    return takes


def _what_else(opened: BinaryIO, file: Path) -> tuple[str, str] | None:
    """Return what a file without weights is, and the remedy; None if it may be weights."""
    size = opened.seek(0, 2)
    opened.seek(0)
    first = opened.read(_SNIFFED)
    if not first:
        return "an empty file (0 bytes), as after a failed download", "Get it again"
    if first.startswith(b"PK"):
        return _zipped(opened)
    if is_safetensors(first):
        return _safetensors(opened, size)
    if file.suffix.lower() in _SUFFIXES:
        return _SUFFIXES[file.suffix.lower()], _SAVE
    return _signed(first)


def is_safetensors(first: bytes) -> bool:
    """Whether a file is safetensors by its first bytes: a length, then a JSON object."""
    brace = first[_LENGTH_BYTES : _LENGTH_BYTES + 1] == b"{"
    return brace and not first.startswith((b"PK", b"\x80", b"{"))


def _signed(first: bytes) -> tuple[str, str] | None:
    """Return what a file is by its first bytes."""
    text = first.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    for start, what, cure in _TEXTS:
        if text.startswith(start):
            return what, cure
    for at, start, what, cure in _BYTES:
        if first.startswith(start, at):
            return what, cure
    image = sniff(first)
    if image is not None:
        return f"an image ({image.name})", _TAKES
    if all(byte in b"\t\n\r\f" or 32 <= byte < 127 for byte in first):
        return "a text file", _TAKES
    return None


def _zipped(opened: BinaryIO) -> tuple[str, str] | None:
    """Return what a zip file is, if torch.save did not write it."""
    try:
        with zipfile.ZipFile(opened) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return "truncated or damaged: a zip without its end", "Get it again"
    if any(name.endswith("/constants.pkl") for name in names):
        return "a TorchScript archive, which is code", _SAVE
    if any(name.rpartition("/")[2] == "data.pkl" for name in names):
        return None
    if any(name.endswith(".npy") for name in names):
        return "NumPy arrays", _SAVE
    if any(name.endswith(".weights.h5") for name in names):
        return "a Keras model", _SAVE
    return "a zip archive that torch.save did not write", "Unpack it first, or get the file itself"


def _safetensors(opened: BinaryIO, size: int) -> tuple[str, str] | None:
    """Return why a file that begins like safetensors is invalid; None if it may be valid."""
    opened.seek(0)
    length = int.from_bytes(opened.read(_LENGTH_BYTES), "little")
    if length > size - _LENGTH_BYTES:
        return "truncated or damaged: safetensors whose header is longer than the file", (
            "Get it again"
        )
    try:
        header: dict[str, Any] = json.loads(opened.read(length))
        ends = [entry["data_offsets"][1] for name, entry in header.items() if name[:2] != "__"]
        whole = _LENGTH_BYTES + length + max(ends, default=0)
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError):
        return "damaged: safetensors with an unreadable header", "Get it again"
    if whole > size:
        return f"truncated: safetensors of {whole} bytes, but the file has {size}", "Get it again"
    return None
