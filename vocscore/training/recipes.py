"""Recipes: settings of a training that belong together, in a readable file."""

from __future__ import annotations

import difflib
import sys
from dataclasses import asdict
from importlib import resources
from typing import TYPE_CHECKING, Any

from shards.files import open_text
from vocscore.config import TrainConfig
from vocscore.errors import TrainError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

if TYPE_CHECKING:
    from collections.abc import Mapping

_NO_OPTIONS = ("max_pixels",)
"""Settings that nobody can give."""
_FOLDER = resources.files("vocscore.training") / "recipes"


def recipe_names() -> list[str]:
    """The recipes that come with the program."""
    names = (file.name for file in _FOLDER.iterdir())
    return sorted(name.removesuffix(".toml") for name in names if name.endswith(".toml"))


def load_recipe(recipe: str) -> dict[str, Any]:
    """Read a recipe.

    Args:
        recipe: one of `recipe_names`, or the path of a file that ends in .toml.

    Returns:
        The settings that it gives; their ranges are not looked at.

    Raises:
        TrainError: there is no such recipe, it is not TOML, or it sets what does not exist.
    """
    try:
        settings: dict[str, Any] = tomllib.loads(_text(recipe))
    except OSError as error:
        raise TrainError(
            f"recipe {recipe}: {error.strerror}. Name a file that is there."
        ) from error
    except ValueError as error:
        raise TrainError(f"recipe {recipe}: not TOML: {error}.") from error
    defaults = asdict(TrainConfig())
    for name in _NO_OPTIONS:
        del defaults[name]
    for name, value in settings.items():
        _check(recipe, name, value, defaults=defaults)
    return settings


def _text(recipe: str) -> str:
    if recipe in recipe_names():
        return (_FOLDER / f"{recipe}.toml").read_text(encoding="utf-8")
    if recipe.endswith(".toml"):
        with open_text(recipe) as file:
            return file.read()
    raise TrainError(
        f"recipe {recipe!r}: there are {', '.join(recipe_names())}, or a file that ends in .toml."
    )


def _check(recipe: str, name: str, value: object, *, defaults: Mapping[str, Any]) -> None:
    if name not in defaults:
        near = difflib.get_close_matches(name, defaults, n=1, cutoff=0)[0]
        raise TrainError(
            f"recipe {recipe}: no setting is called '{name}'. The nearest is '{near}'."
        )
    kind, words = _kind(defaults[name])
    if isinstance(value, bool) != (kind is bool) or not isinstance(value, kind):
        raise TrainError(f"recipe {recipe}: {name} is {value!r}, and has to be {words}.")


def _kind(default: object) -> tuple[type | tuple[type, ...], str]:
    """What a setting with such a default may be, and how to call it; without a default, a count."""
    if isinstance(default, bool):
        return bool, "true or false"
    if isinstance(default, str):
        return str, "a text"
    if isinstance(default, float):
        return (int, float), "a number"
    return int, "a whole number"
