"""Known failures above the bytes: the command line shows their one line and exits with 2."""

from __future__ import annotations

from functools import partial
from string import Formatter
from typing import TYPE_CHECKING

from shards.errors import Error

if TYPE_CHECKING:
    from collections.abc import Callable


class OptionError(Error):
    """An option's value is out of its range, or contradicts another option.

    Args:
        template: the line, with `{name}` where it names an option, and `{key}` for each value.
        values: what the keys stand for.
    """

    def __init__(self, template: str, **values: object) -> None:
        """Name the options as Python does; `naming` renames them."""
        self._template = template
        self._values = values
        super().__init__(self.naming(str))

    def __reduce__(self) -> tuple[Callable[..., OptionError], tuple[str]]:
        """Pickle the template: its line may hold braces that are no names."""
        return partial(type(self), **self._values), (self._template,)

    def naming(self, spell: Callable[[str], str]) -> str:
        """The line with every option's name spelled by a function, such as '--top-k' for top_k."""
        keys = {key for _, key, _, _ in Formatter().parse(self._template) if key}
        names = {key: spell(key) for key in keys - self._values.keys()}
        return self._template.format(**names, **self._values)


class FetchError(Error):
    """A data set cannot be had from where it is published."""


class CheckpointError(Error):
    """A checkpoint or a file of weights cannot be used."""


class DeviceError(Error):
    """The device asked for is not there or cannot do what was asked."""


class TrainError(Error):
    """Training cannot start or cannot go on."""


class DivergedError(TrainError):
    """The loss is not a number."""


class ScoreError(Error):
    """Scoring cannot start or cannot go on."""


class StoppedOnPurposeError(ScoreError):
    """A limit that the user has set ended the run; everything so far is kept."""


class ExportError(Error):
    """A checkpoint cannot be brought into another form, or would not be the same in it."""


class AcceptanceError(OptionError, ExportError):
    """A model in another form is not close enough to be accepted; options can allow more."""


class RecordError(Error):
    """What stands in the place of a record is none, or none that this version reads."""


class EvalError(Error):
    """Predictions and labels cannot be compared."""


class ChartError(Error):
    """Charts cannot be drawn."""
