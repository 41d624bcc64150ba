"""Resolves the keywords and option groups of the API's functions."""

from __future__ import annotations

import inspect
import json
import re
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar, cast

from vocscore.api.checks import check_shared, groups_in
from vocscore.config.groups import declared, flat, refuse_unknown
from vocscore.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from vocscore.config.option import Group, Option

_PLACE = re.compile(r"^( *)\*\*keywords: every option of the command\.$", re.MULTILINE)
"""The docstring line that is replaced by the help texts of the options."""

Function = TypeVar("Function", bound="Callable[..., Any]")


def takes(*kinds: type[Any]) -> Callable[[Function], Function]:
    """Show every option of some groups in the signature and docstring of a function.

    The function takes them as `**keywords`.
    """

    def show(function: Function) -> Function:
        options = declared(*kinds)
        signature = inspect.signature(function)
        own = [p for p in signature.parameters.values() if p.kind is not p.VAR_KEYWORD]
        others = [p.name for p in own]
        cure = f"See help(vs.{function.__name__})."
        more = [
            inspect.Parameter(
                one.name, inspect.Parameter.KEYWORD_ONLY, default=one.default, annotation=hint(one)
            )
            for one in options
        ]

        @wraps(function)
        def called(*arguments: Any, **keywords: Any) -> Any:
            refuse_unknown(keywords, *kinds, others=others, cure=cure)
            check_shared(keywords)
            return function(*arguments, **keywords)

        called.__signature__ = signature.replace(parameters=[*own, *more])  # type: ignore[attr-defined]
        lines = [f"{one.name}: {one.help.format_map(_Plain())}" for one in options]
        # with the indentation that it has there: Python 3.13 removes the common one
        called.__doc__ = _PLACE.sub(
            lambda place: "\n".join(place[1] + line for line in lines), function.__doc__ or ""
        )
        return cast("Function", called)

    return show


class _Plain(dict[str, str]):
    """Spells `{name}` in a help text as Python does."""

    def __missing__(self, name: str) -> str:
        return f"`{name}`"


def hint(option: Option) -> str:
    """The type annotation of an option, as text."""
    one = "str | PathLike[str]" if option.kind.__name__ == "Path" else option.kind.__name__
    if option.choices:
        one = f"Literal[{', '.join(map(json.dumps, option.choices))}]"
    if option.many == 1:
        one = f"Sequence[{one}]"
    elif option.many:
        one = f"Sequence[tuple[{', '.join([one] * option.many)}]]"
    return f"{one} | None" if option.optional else one


def settings(
    keywords: Mapping[str, Any],
    options: Group | Iterable[Group],
    *kinds: type[Any],
    before: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Merge all settings by option name, as `build` takes them.

    Args:
        keywords: by name; they take precedence over groups.
        options: one group or several, each with all its values.
        kinds: the groups, or dataclasses of groups, that the function accepts.
        before: settings that both override, such as a recipe.

    Raises:
        OptionError: a keyword is not an option (the nearest one is named), or a group belongs to
            another function, or is not a group.
    """
    refuse_unknown(keywords, *kinds)
    found = dict(before or {})
    names = {one.name for one in declared(*kinds)}
    for group in groups_in(options):
        values = flat(group)
        if not values.keys() <= names:
            raise OptionError(f"{type(group).__name__} has no options of this function.")
        found.update(values)
    return {**found, **keywords}
