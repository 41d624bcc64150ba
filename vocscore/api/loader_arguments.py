"""Checks the types of the arguments of `vocscore.loader` and `vocscore.webdataset`."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from numbers import Integral, Real
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from shards.paths import is_image, shown
from vocscore.api.checks import shortened
from vocscore.config.training import AugmentationConfig
from vocscore.errors import LoaderError
from vocscore.pipeline.preprocess import Preprocess

if TYPE_CHECKING:
    from collections.abc import Callable


def _whole(value: Any) -> int:
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, Integral):
        raise TypeError
    return int(value)


def _flag(value: Any) -> bool:
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError
    return bool(value)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _three(value: Any) -> tuple[float, ...]:
    numbers = () if isinstance(value, (str, bytes, Mapping, AbstractSet)) else tuple(value)
    real = all(isinstance(n, Real) and not isinstance(n, (bool, np.bool_)) for n in numbers)
    if len(numbers) != 3 or not real or not all(map(math.isfinite, numbers)):
        raise TypeError
    return tuple(map(float, numbers))


def _augmentation(value: Any) -> AugmentationConfig:
    if not isinstance(value, AugmentationConfig):
        raise TypeError
    return value


def _preprocess(value: Any) -> Preprocess | str:
    if isinstance(value, Preprocess):
        return value
    path = os.fspath(value)
    if not isinstance(path, str) or not path or "\0" in path:
        raise TypeError
    return path


def _split(value: Any) -> str:
    if isinstance(value, (list, tuple)) and value and all(isinstance(n, str) for n in value):
        return ",".join(value)
    return _text(value)


_WHOLE, _FLAG, _TEXT = (_whole, "a whole number"), (_flag, "True or False"), (_text, "text")
_THREE = (_three, "three finite numbers")
_KINDS: dict[str, tuple[Callable[[Any], Any], str]] = {
    **dict.fromkeys(("batch_size", "seed", "size", "rank", "world_size", "workers"), _WHOLE),
    **dict.fromkeys(("max_pixels", "image_memory", "epoch"), _WHOLE),
    **dict.fromkeys(("shuffle", "drop_last"), _FLAG),
    **dict.fromkeys(("difficult", "on_error", "loader", "device", "image"), _TEXT),
    **dict.fromkeys(("mean", "std"), _THREE),
    "split": (_split, "a name, names joined by commas, or a list of names"),
    "augmentation": (_augmentation, "a vs.AugmentationConfig(...)"),
    "preprocess": (_preprocess, "a run or a Preprocess"),
}
"""Argument -> what reads it, and what it must be."""

_OPTIONAL = {"split", "size", "mean", "std", "preprocess", "augmentation", "workers"}
_LEAST = {"workers": 1, "max_pixels": 1, "image_memory": 1}


def read(name: str, value: Any) -> Any:
    """Return an argument in its plain form: NumPy's numbers as Python's, splits as one text.

    Raises:
        LoaderError: it has the wrong type.
    """
    if value is None and name in _OPTIONAL:
        return None
    to_plain, words = _KINDS[name]
    try:
        found = to_plain(value)
    except (TypeError, ValueError) as error:
        or_none = " or None" if name in _OPTIONAL else ""
        raise LoaderError(f"{name} must be {words}{or_none}, got {shortened(value)}") from error
    if name in _LEAST and found < _LEAST[name]:
        raise LoaderError(f"{name} must be at least {_LEAST[name]}, got {found}")
    return found


def read_all(**given: Any) -> dict[str, Any]:
    """Return arguments in their plain form, by name; see `read`."""
    return {name: read(name, value) for name, value in given.items()}


def read_source(source: Any, *, name: str = "source") -> str | tuple[str, ...]:
    """Return a path as text, or the paths of a list.

    Raises:
        LoaderError: it is neither, or a path is empty or contains a NUL character.
    """
    if isinstance(source, (str, os.PathLike)):
        return _path(source, name)
    if isinstance(source, (bytes, Mapping, AbstractSet)) or not isinstance(source, Iterable):
        raise LoaderError(
            f"{name} must be a path, or a list of image files, got {shortened(source)}"
        )
    return tuple(_file(one, f"{name}[{at}]") for at, one in enumerate(source))


def read_folder(name: str, folder: Any) -> str:
    """Return a folder's path or URL.

    Raises:
        LoaderError: it is not a path, is empty or contains a NUL character.
    """
    return _path(folder, name)


def _file(file: Any, name: str) -> str:
    path = _path(file, name)
    folder = Path(path)
    if not is_image(folder.name) and folder.is_dir():  # the disk is not asked about image names
        raise LoaderError(
            f"{name} {shown(path)} is a folder, but a list names image files. Give the folder "
            "alone, or list its files."
        )
    return path


def _path(path: Any, name: str) -> str:
    text = os.fspath(path) if isinstance(path, (str, os.PathLike)) else path
    if not isinstance(text, str):
        raise LoaderError(f"{name} must be a path, got {shortened(path)}")
    if not text:
        raise LoaderError(f"{name} is empty. Name a folder or a file.")
    if "\0" in text:
        raise LoaderError(f"{name} is {text!r}, and no path contains a NUL character.")
    return text
