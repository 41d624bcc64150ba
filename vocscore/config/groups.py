"""Builds the option groups of a command from plain values, by the names of the options."""

from __future__ import annotations

import difflib
from dataclasses import fields
from typing import TYPE_CHECKING, Any, TypeVar, get_type_hints

from vocscore.config.option import Group, Option, options_of
from vocscore.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Config = TypeVar("Config")


def groups_of(config: type[Any]) -> dict[str, type[Group]]:
    """Return the groups of a dataclass whose fields are groups, by the names of the fields."""
    hints = get_type_hints(config)
    return {one.name: hints[one.name] for one in fields(config)}


def declared(*kinds: type[Any]) -> tuple[Option, ...]:
    """Return every option of some groups, or of dataclasses of groups."""
    found: list[Option] = []
    for kind in kinds:
        if issubclass(kind, Group):
            found += options_of(kind)
        else:
            found += declared(*groups_of(kind).values())
    return tuple(found)


def names_of(*kinds: type[Any]) -> set[str]:
    """Return the names of all options of some groups, or of dataclasses of groups."""
    return {option.name for option in declared(*kinds)}


def build(kind: type[Config], settings: Mapping[str, Any]) -> Config:
    """Build a group, or a dataclass of groups, from values by the names of their options.

    Args:
        kind: what to build.
        settings: name -> value; options of other groups are ignored.

    Raises:
        OptionError: a value has the wrong type, is out of range, or contradicts another.
    """
    if issubclass(kind, Group):
        names = names_of(kind)
        return kind(**{name: value for name, value in settings.items() if name in names})
    return kind(**{name: build(group, settings) for name, group in groups_of(kind).items()})


def flat(config: Any) -> dict[str, Any]:
    """Return the values of a group, or of a dataclass of groups, by the names of their options."""
    if isinstance(config, Group):
        return {option.name: getattr(config, option.name) for option in options_of(type(config))}
    values: dict[str, Any] = {}
    for name in groups_of(type(config)):
        values.update(flat(getattr(config, name)))
    return values


def refuse_unknown(
    names: Iterable[str], *kinds: type[Any], others: Iterable[str] = (), cure: str = ""
) -> None:
    """Refuse names that are not options, and suggest the most similar one if one is similar.

    Args:
        names: to check.
        kinds: the groups, or dataclasses of groups, whose options are known.
        others: more names that are known.
        cure: what to do if no name is similar.

    Raises:
        OptionError: a name is not an option.
    """
    known = [*(option.name for option in declared(*kinds)), *others]
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
            hint = f"Did you mean {near[0]!r}?" if near else cure
            raise OptionError(f"no option is called {name!r}. {hint}".rstrip())
