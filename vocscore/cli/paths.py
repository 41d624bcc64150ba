"""The paths that commands take, as types of options and arguments."""

from __future__ import annotations

from shlex import quote
from typing import TYPE_CHECKING

from vocscore.cli.path_types import PathType, RowsType
from vocscore.local_folders import local_folder, local_predictions, local_results, local_run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_RUN_FILES = ("model.safetensors", "model.json")
_EXPORTED = (".onnx", ".xml", ".bin")
_FOREIGN = (".pth", ".pt", ".ckpt", ".safetensors", ".h5", ".keras")


def _run_hint(path: Path) -> str:
    """Return advice for a path that is not a run."""
    suffix = path.suffix.lower()
    in_run = path.name == "model.onnx" and (path.parent / "model.json").is_file()
    if path.is_file() and (in_run or path.name in _RUN_FILES):
        return f"It is in {path.parent}: name that folder."
    if suffix == ".onnx":
        return (
            "An exported model is named by its run; a model of another program becomes one with: "
            f"vocscore import-model {quote(str(path))} -o RUN"
        )
    if suffix in _EXPORTED:
        return "An exported model is for other programs: name the run that it was exported from."
    if suffix in _FOREIGN:
        return (
            "Weights are trained further with: vocscore train SHARDS -o RUN --weights FILE; a "
            f"whole classifier becomes a run with: vocscore import-model {quote(str(path))} -o RUN"
        )
    return ""


def _shards_hint(path: Path) -> str:
    if path.suffix == ".tar" and path.is_file():
        return f"It is in {path.parent}: name that folder."
    return "" if path.is_file() else "Make it with: vocscore pack SRC -o SHARDS"


def _inside(name: str) -> Callable[[Path], str]:
    """Return a hint that suggests a file in the folder that was named."""
    return lambda path: f"Name a file in it: {path / name}" if path.is_dir() else ""


def new_folder(what: str) -> PathType:
    """Return the type of a new or existing folder."""
    return PathType(f"a folder, for {what}", exists=False, folder=True)


def new_file(what: str, *, example: str) -> PathType:
    """Return the type of a file to be written; `example` is a suggested name."""
    return PathType(f"a file, for {what}", exists=False, folder=False, hint=_inside(example))


def old_file(what: str) -> PathType:
    """Return the type of an existing file."""
    return PathType(f"a file with {what}", exists=True, folder=False)


QUARANTINE = PathType(
    "a folder, for copies of bad inputs", exists=False, folder=True, uploaded=True
)
RUN = PathType(
    "the folder of a model that 'vocscore train' wrote",
    exists=True,
    folder=True,
    hint=_run_hint,
    fetched=local_run,
)
SHARDS = PathType(
    "the folder of a set that 'vocscore pack' wrote",
    exists=True,
    folder=True,
    hint=_shards_hint,
    fetched=local_folder,
)
IMAGES = PathType("a folder with images", exists=True, folder=True)
PREDICTIONS = PathType(
    "what 'vocscore score' wrote",
    exists=True,
    folder=None,
    fetched=local_predictions,
    beside=True,
)
PREDICTIONS_OR_RUN = PathType(
    "what 'vocscore score' wrote, or the folder of a run",
    exists=True,
    folder=None,
    fetched=local_results,
    beside=True,
)
UNFINISHED_PREDICTIONS = PathType(
    "what 'vocscore score' wrote or is writing",
    exists=False,
    folder=None,
    written=False,
    fetched=local_predictions,
    beside=True,
)
IMAGES_OF_PREDICTIONS = PathType(
    "a folder of images, packed shards, a tar or a list", exists=True, folder=None
)
ANYTHING = PathType(
    "predictions, a run, shards or an exported model",
    exists=False,
    folder=None,
    written=False,
    fetched=local_results,
    beside=True,
)
SOURCE = PathType(
    "a folder of images to pack, or with --download a folder for the download",
    exists=False,
    folder=True,
    written=False,
    fetched=local_folder,
)
ROWS = RowsType(
    "a file for the predictions, '-' for standard output, or with --format a folder",
    exists=False,
    folder=None,
    uploaded=True,
)
OUTPUT = PathType(
    "a file for the predictions, or with --format a folder", exists=False, folder=None
)
PLANNED_OUTPUT = PathType(
    "a file for the predictions, or with --format a folder",
    exists=False,
    folder=None,
    uploaded=True,
)
OUTPUT_OF_JOBS = PathType(
    "the file or folder that jobs wrote predictions for",
    exists=False,
    folder=None,
    uploaded=True,
    beside=True,
)
FOREIGN_MODEL = PathType("a model that another program trained", exists=True, folder=None)
THRESHOLDS = old_file("thresholds (JSON)")
FEATURES = new_file("features (.npy or .parquet)", example="features.npy")
SUMMARY = new_file("the summary", example="summary.json")
