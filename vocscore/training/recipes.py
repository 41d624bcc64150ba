"""Recipes: TOML files of training settings that belong together."""

from __future__ import annotations

import sys
from importlib import resources
from typing import Any

from shards.files import open_text
from vocscore.config.groups import declared, refuse_unknown
from vocscore.config.training import TrainConfig
from vocscore.errors import OptionError, TrainError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_FOLDER = resources.files("vocscore.training") / "recipes"


def recipe_names() -> list[str]:
    """The built-in recipes."""
    names = (file.name for file in _FOLDER.iterdir())
    return sorted(name.removesuffix(".toml") for name in names if name.endswith(".toml"))


def load_recipe(recipe: str) -> dict[str, Any]:
    """Read a recipe.

    Args:
        recipe: one of `recipe_names`, or the path of a file that ends in .toml.

    Returns:
        Its settings, by the names of their options.

    Raises:
        TrainError: there is no such recipe, it is not TOML, or it sets an unknown option or an
            out-of-range value.
    """
    try:
        settings: dict[str, Any] = tomllib.loads(_text(recipe))
    except OSError as error:
        raise TrainError(f"recipe {recipe}: {error.strerror}. Name an existing file.") from error
    except ValueError as error:
        raise TrainError(f"recipe {recipe}: not TOML: {error}.") from error
    try:
        refuse_unknown(settings, TrainConfig)
        return {
            o.name: o.checked(settings[o.name]) for o in declared(TrainConfig) if o.name in settings
        }
    except OptionError as error:
        line = str(error).replace("`", "")  # named as in the file
        raise TrainError(f"recipe {recipe}: {line}") from error


def _text(recipe: str) -> str:
    if recipe in recipe_names():
        return (_FOLDER / f"{recipe}.toml").read_text(encoding="utf-8")
    if recipe.endswith(".toml"):
        with open_text(recipe) as file:
            return file.read()
    raise TrainError(
        f"recipe {recipe!r}: choose {', '.join(recipe_names())}, or a file that ends in .toml."
    )
