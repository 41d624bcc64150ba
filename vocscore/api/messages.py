"""Translates option names in error messages from the shell's form to Python's."""

from __future__ import annotations

import re
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING

from shards.errors import Error
from vocscore.config.compute import ComputeConfig
from vocscore.config.evaluating import EvalConfig
from vocscore.config.exporting import ExportConfig, QuantizeConfig
from vocscore.config.groups import declared
from vocscore.config.packing import PackConfig
from vocscore.config.scoring import ScoreConfig
from vocscore.config.training import RunConfig, TrainConfig

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vocscore.config.option import Option

_PARTS = re.compile(
    r"(?P<command>vocscore [a-z]+ (?:(?!\. |').)*)"  # a shell command: unchanged
    r"|(?<![\w-])(?:--(?P<no>no-)?(?P<name>[a-z][a-z-]*)|-(?P<short>[om])\b)"
    r"(?: (?P<value>[A-Z]+\b|[a-z0-9.]*[a-z0-9]))?"
)
_SHORT = {"o": "output", "m": "model"}


@contextmanager
def python_names() -> Iterator[None]:
    """Translate errors of the block, such as '--overwrite' to `overwrite=True`."""
    try:
        yield
    except Error as error:
        if error.args and isinstance(error.args[0], str):
            error.args = (in_python(error.args[0]), *error.args[1:])
        raise


def in_python(line: str) -> str:
    """Spell the options in an error message as keywords of the API's functions.

    Commands in it ('vocscore pack SRC -o SHARDS') are unchanged.
    """
    return _PARTS.sub(_spelled, line)


def _spelled(found: re.Match[str]) -> str:
    if found["command"]:
        return found[0]
    given = f" {found['value']}" if found["value"] else ""
    if found["short"]:
        return f"{_SHORT[found['short']]}{given}"
    name = found["name"].replace("-", "_")
    option = _options().get(name) or _options().get(f"{name}_")
    if option is None:
        return found[0]
    name = option.name
    if option.kind is bool:
        return f"{name}={not found['no']}{given}"
    if found["value"] and _is_value(found["value"], option):
        quote = "" if found["value"].isupper() else '"'
        return f"{name}={quote}{found['value']}{quote}"
    return f"`{name}`{given}" if "_" not in name else f"{name}{given}"


def _is_value(word: str, option: Option) -> bool:
    """Whether a word after an option is its value rather than the next word of the sentence."""
    words = (*option.choices, *(option.metavar or "").split("|"))
    return word in words or (option.name == "device" and word in ("auto", "cpu", "cuda"))


@lru_cache(maxsize=1)
def _options() -> dict[str, Option]:
    """Every option of every function, by name."""
    configs = (TrainConfig, RunConfig, ComputeConfig, PackConfig, EvalConfig, QuantizeConfig)
    return {one.name: one for one in declared(*configs, ExportConfig, ScoreConfig)}
