"""Reads what `vocscore score` writes: a file of any format, or a folder of parts."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from vocscore.errors import EvalError
from vocscore.evaluation.collected import Collector, Predictions
from vocscore.evaluation.read_csv import read_csv
from vocscore.evaluation.read_jsonl import read_jsonl
from vocscore.evaluation.read_parquet import read_parquet

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Predictions", "read_predictions"]

_READERS = {".csv": read_csv, ".jsonl": read_jsonl, ".parquet": read_parquet}
_PART = re.compile(r"part-(\d{6,})\.(csv|jsonl|parquet)")


def read_predictions(source: Path) -> Predictions:
    """Read all probabilities.

    Args:
        source: a file (.jsonl and .parquet by its name, anything else as CSV), or a folder that
            'vocscore score --format' made.

    Raises:
        EvalError: it is not what `vocscore score` writes, lacks probabilities, names an image
            twice, or holds something else than probabilities.
        OSError: a file cannot be read.
    """
    collector = Collector()
    for file in _parts(source) if source.is_dir() else [source]:
        _READERS.get(file.suffix.lower(), read_csv)(file, collector)
    return collector.finish(source)


def _parts(folder: Path) -> list[Path]:
    """The parts by their numbers, all there from the first to the last."""
    matches = [(path, _PART.fullmatch(path.name)) for path in folder.iterdir()]
    strangers = sorted(path.name for path, match in matches if not match)
    parts = sorted((int(match[1]), path) for path, match in matches if match)
    if strangers or not parts:
        found = f"it holds {strangers[0]}" if strangers else "it is empty"
        raise EvalError(
            f"{folder}: not a folder that 'vocscore score' has finished, with --format ({found})."
        )
    if [number for number, _ in parts] != list(range(len(parts))):
        raise EvalError(
            f"{folder}: {len(parts)} parts, and the last is {parts[-1][1].name}; some are missing, "
            "or there are two formats. Score again into a new folder."
        )
    return [path for _, path in parts]
