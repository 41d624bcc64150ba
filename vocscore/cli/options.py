"""Creates the options of commands from the groups of `vocscore.config`."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from vocscore.config.groups import groups_of
from vocscore.config.option import Group, options_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vocscore.config.option import Option

Command = TypeVar("Command", bound=Callable[..., Any])
OTHERS = "Other"
"""The panel of options without a panel of their own."""


class PanelOption(click.Option):
    """An option in a titled panel of `--help`.

    Args:
        panel: title of the panel.
        words: as for `click.Option`.
    """

    def __init__(self, *words: Any, panel: str = OTHERS, **more: Any) -> None:
        super().__init__(*words, **more)
        self.panel = panel


class FiniteRange(click.FloatRange):
    """A `click.FloatRange` without NaN and infinity, which pass its comparisons."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Convert text or a number to a finite number in the range."""
        found: float = super().convert(value, param, ctx)
        if not math.isfinite(found):
            self.fail(f"{value!r} is not a finite number.", param, ctx)
        return found


def panel_option(*words: str, panel: str, **more: Any) -> Callable[[Command], Command]:
    """Return `click.option` for a panel."""
    return click.option(*words, cls=PanelOption, panel=panel, **more)


def config_options(*kinds: type[Any], **changes: Mapping[str, Any]) -> Callable[[Command], Command]:
    """Add every option of some groups, or of dataclasses of groups, in order.

    Args:
        kinds: the groups.
        changes: name of an option -> arguments of `click.option` specific to the command line,
            such as the type of a path.
    """

    def add(command: Command) -> Command:
        for group in reversed(list(_groups(kinds))):
            for option in reversed(options_of(group)):
                words, attributes = _click_option(option)
                attributes.update(changes.get(option.name, {}))
                command = panel_option(*words, panel=group.title, **attributes)(command)
        return command

    return add


def _groups(kinds: tuple[type[Any], ...]) -> list[type[Group]]:
    found: list[type[Group]] = []
    for kind in kinds:
        found += [kind] if issubclass(kind, Group) else groups_of(kind).values()
    return found


def _click_option(option: Option) -> tuple[list[str], dict[str, Any]]:
    """Return the names and attributes of an option for `click.option`."""
    attributes: dict[str, Any] = {
        "help": option.help.format_map(_Flags()),
        "default": option.default,
        "show_default": option.unset or not (option.default is None or option.default == ()),
    }
    if option.kind is bool:
        name = flag(option.name)
        both = f"{name}/--no-{name.removeprefix('--')}" if option.default is not False else name
        if option.default is False and not option.flag:
            attributes.update(is_flag=True, show_default=False)
        return [option.flag or both, option.name], attributes
    attributes.update(type=_type(option), metavar=option.metavar)
    if option.many:
        attributes.update(multiple=True, nargs=option.many)
    return [*(option.flag or flag(option.name)).split("/"), option.name], attributes


def flag(name: str) -> str:
    """Return an option as it is typed; `from_`, which Python reserves without '_', is --from."""
    return f"--{name.rstrip('_').replace('_', '-')}"


class _Flags(dict[str, str]):
    """Replaces `{name}` in a help text by the option as it is typed."""

    def __missing__(self, name: str) -> str:
        return flag(name)


def _type(option: Option) -> Any:
    if option.choices:
        return click.Choice(option.choices)
    if option.kind in (int, float):
        return _range(option)
    return click.Path(path_type=Path) if option.kind is Path else str


def _range(option: Option) -> Any:
    low = option.above if option.minimum is None else option.minimum
    high = option.below if option.maximum is None else option.maximum
    limits: dict[str, Any] = {
        "min": low,
        "max": high,
        "min_open": option.above is not None,
        "max_open": option.below is not None,
    }
    if option.kind is float:
        return FiniteRange(**limits)
    return click.INT if low is None and high is None else click.IntRange(**limits)
