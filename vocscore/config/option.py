"""Declares an option once, on the field of a group: default, help text, unit and range.

The command line, the Python functions and the recipes are all built from what is declared here.
"""

from __future__ import annotations

import math
import types
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, ClassVar, Union, get_args, get_origin, get_type_hints

from vocscore.errors import OptionError

_KEY = "option"
_KINDS = {
    bool: "true or false",
    int: "a whole number",
    float: "a finite number",
    str: "text",
    Path: "a path",
}
"""Type of a value -> its name in messages."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """The declaration of one option.

    Attributes:
        name: name of the field.
        default: the value if none is given.
        kind: bool, int, float, str or Path: the type of one value.
        optional: whether None is allowed.
        many: number of values of `kind` per entry of a tuple; 0: the option is not a tuple.
        help: one or more sentences; `{name}` is replaced by another option as it is typed.
        metavar: placeholder of the value in help: its unit (PIXELS) or its form (NAME[,NAME]).
        unset: the meaning of None, for help.
        minimum: the smallest value.
        maximum: the largest value.
        above: exclusive lower limit.
        below: exclusive upper limit.
        choices: every possible value; () if any is possible.
        flag: the option as it is typed, if that does not follow from its name.
    """

    name: str = ""
    default: Any = None
    kind: type = str
    optional: bool = False
    many: int = 0
    help: str
    metavar: str | None = None
    unset: str | None = None
    minimum: float | None = None
    maximum: float | None = None
    above: float | None = None
    below: float | None = None
    choices: tuple[str, ...] = ()
    flag: str | None = None

    def checked(self, value: Any) -> Any:
        """Convert a value to the type of the field: an int to float, a str to Path.

        Raises:
            OptionError: it has the wrong type, is out of range, or not one of the choices.
        """
        if value is None and self.optional:
            return None
        if not self.many:
            return self._one(value)
        if not isinstance(value, (tuple, list)):
            raise self._error(value, f"a list of {self._words()} values")
        if self.many == 1:
            return tuple(self._one(entry) for entry in value)
        if not all(isinstance(e, (tuple, list)) and len(e) == self.many for e in value):
            raise self._error(value, f"a list of {self.many}-tuples")
        return tuple(tuple(self._one(part) for part in entry) for entry in value)

    def _one(self, value: Any) -> Any:
        wanted: Any = {float: (int, float), Path: (str, Path)}.get(self.kind, self.kind)
        # bool is a subclass of int in Python, but not a number here
        if isinstance(value, bool) != (self.kind is bool) or not isinstance(value, wanted):
            raise self._error(value, self._words())
        if self.kind is float and not math.isfinite(value):
            raise self._error(value, self._words())
        if self.choices and value not in self.choices:
            raise self._error(value, f"one of {', '.join(self.choices)}")
        if self.kind in (int, float) and not self._in_range(value):
            raise self._error(value, self.range_words())
        if self.kind is Path and isinstance(value, Path):
            return value  # perhaps one that stands for a URL
        return self.kind(value) if self.kind in (float, Path) else value

    def _in_range(self, value: float) -> bool:
        return (
            (self.minimum is None or value >= self.minimum)
            and (self.maximum is None or value <= self.maximum)
            and (self.above is None or value > self.above)
            and (self.below is None or value < self.below)
        )

    def range_words(self) -> str:
        """Return the range as text: 'above 0', 'at least 0 and below 1'; '' if there is none."""
        limits = {
            "at least": self.minimum,
            "above": self.above,
            "at most": self.maximum,
            "below": self.below,
        }
        return " and ".join(
            f"{words} {limit:g}" for words, limit in limits.items() if limit is not None
        )

    def _words(self) -> str:
        return _KINDS[self.kind]

    def _error(self, value: object, wanted: str) -> OptionError:
        return OptionError(f"`{self.name}` is {value!r}, but must be {wanted}.")


def option(
    default: Any,
    *,
    help: str,  # noqa: A002 - the usual name
    metavar: str | None = None,
    unset: str | None = None,
    minimum: float | None = None,
    maximum: float | None = None,
    above: float | None = None,
    below: float | None = None,
    choices: tuple[str, ...] = (),
    flag: str | None = None,
) -> Any:
    """Declare a field of a group as an option; see `Option`."""
    declared = Option(
        help=help,
        metavar=metavar,
        unset=unset,
        minimum=minimum,
        maximum=maximum,
        above=above,
        below=below,
        choices=choices,
        flag=flag,
    )
    return field(default=default, metadata={_KEY: declared})


class Group:
    """Options that belong together: a frozen dataclass, checked when it is created.

    Attributes:
        title: title of their panel in `--help`.

    Raises:
        OptionError: a value has the wrong type or is out of range.
    """

    title: ClassVar[str]

    def __post_init__(self) -> None:
        """Check every value, and convert it to the type of its field."""
        for declared in options_of(type(self)):
            value = declared.checked(getattr(self, declared.name))
            object.__setattr__(self, declared.name, value)


def options_of(group: type[Group]) -> tuple[Option, ...]:
    """Return the options that a group declares, in order."""
    hints = get_type_hints(group)
    return tuple(
        replace(one.metadata[_KEY], name=one.name, default=one.default, **_kind(hints[one.name]))
        for one in fields(group)  # type: ignore[arg-type]
        if _KEY in one.metadata
    )


def _kind(hint: Any) -> dict[str, Any]:
    """Return the type of one value and the number of values from an annotation."""
    args = get_args(hint)
    if get_origin(hint) in (Union, types.UnionType):
        (one,) = (arg for arg in args if arg is not type(None))
        return {**_kind(one), "optional": True}
    if get_origin(hint) is not tuple:
        return {"kind": hint}
    if get_origin(args[0]) is tuple:
        return {"kind": get_args(args[0])[0], "many": len(get_args(args[0]))}
    return {"kind": args[0], "many": 1}
