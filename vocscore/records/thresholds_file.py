"""Thresholds as a file: a JSON object, class -> probability from which on it is predicted.

    {"dog": 0.41, "person": 0.6}

The page writes it; `score --thresholds-file` and `relabel` read it. A class that is not in the file
keeps its threshold.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from shards import atomic
from shards.files import read_regular
from shards.paths import first_names, shown
from vocscore.errors import ThresholdsError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

NEVER: Final = 2.0
"""A threshold that no probability reaches, as 'train --thresholds precision=P' may fit."""


def read_thresholds(file: Path, classes: Sequence[str]) -> dict[str, float]:
    """Read a file of thresholds.

    Args:
        file: the JSON file.
        classes: of the model.

    Returns:
        Class -> threshold, from 0 to 1 or `NEVER`, for the classes in the file.

    Raises:
        ThresholdsError: it is another file, or has another class, a duplicate class, or a value
            that is not a threshold.
    """
    try:
        found = json.loads(read_regular(file), object_pairs_hook=_without_duplicates)
    except FileNotFoundError as error:
        raise ThresholdsError(f"{file}: not found.") from error
    except OSError as error:
        raise ThresholdsError(f"{file}: {str(error.strerror).lower()}.") from error
    except (ValueError, RecursionError) as error:
        raise ThresholdsError(f"{file}: {error}. {_CURE}") from error
    if not isinstance(found, dict):
        raise ThresholdsError(f"{file}: not a JSON object. {_CURE}")
    foreign = [name for name in found if name not in classes]
    if foreign:
        raise ThresholdsError(
            f"{file}: the model has no class {first_names(foreign)}. Its classes are "
            f"{first_names(classes, most=20)}."
        )
    return {name: _threshold(value, name, file=file) for name, value in found.items()}


def write_thresholds(file: Path, thresholds: Mapping[str, float]) -> None:
    """Write a file of thresholds; an existing one is replaced atomically.

    Args:
        file: the JSON file.
        thresholds: class -> probability.

    Raises:
        OSError: it cannot be written.
    """
    atomic.write(file, (json.dumps(dict(thresholds), indent=1) + "\n").encode("ascii"))


_CURE: Final = 'A file of thresholds is like {"dog": 0.41, "person": 0.6}.'


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{shown(twice)} has two values")
    return found


def _threshold(value: Any, name: str, *, file: Path) -> float:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not (0 <= value <= 1 or value == NEVER):
        raise ThresholdsError(
            f"{file}: {shown(name)} has {value!r}, but a threshold is a probability from 0 to 1, "
            f"or {NEVER:g} for never."
        )
    return float(value)
