"""Expected failures above the byte level: the command line prints their line and exits with 2."""

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
        template: the line, with `{name}` for an option's name, and `{key}` for each value.
        values: the values of the keys.
    """

    def __init__(self, template: str, **values: object) -> None:
        """Spell option names as Python does; `naming` respells them."""
        self._template = template
        self._values = values
        super().__init__(self.naming(str))

    def __reduce__(self) -> tuple[Callable[..., OptionError], tuple[str]]:
        """Pickle the template: its line may contain braces that are not names."""
        make: Callable[..., OptionError] = type(self)
        return partial(make, **self._values), (self._template,)

    def naming(self, spell: Callable[[str], str]) -> str:
        """The line with every option's name spelled by a function, such as '--top-k' for top_k."""
        keys = {key for _, key, _, _ in Formatter().parse(self._template) if key}
        names = {key: spell(key) for key in keys - self._values.keys()}
        return self._template.format(**names, **self._values)


class FetchError(Error):
    """A dataset cannot be downloaded."""


class CheckpointError(Error):
    """A checkpoint or a file of weights cannot be used."""


class DeviceError(Error):
    """The requested device does not exist or does not support the request."""


class TrainError(Error):
    """Training cannot start or continue."""


class DivergedError(TrainError):
    """The loss is NaN or infinite."""


class ScoreError(Error):
    """Scoring cannot start or continue."""


class StoppedOnPurposeError(ScoreError):
    """A limit set by the user ended the run; finished work is kept."""


class UnfinishedError(ScoreError):
    """Parts of an output are missing, so it was not written; jobs have to score them first."""


class ReaderLeftError(ScoreError):
    """The reader of a stream of rows has ended; it has read what it needed."""


class PreprocessError(Error):
    """Images are stored in another form than the model or the loader needs."""


class LoaderError(Error):
    """Images cannot be loaded as requested, or one of them cannot be decoded."""


class ImportModelError(Error):
    """A model cannot be imported, or would give other results here."""


class ExportError(Error):
    """A checkpoint cannot be converted to another format, or would give other results in it."""


class AcceptanceError(OptionError, ExportError):
    """A converted model is not close enough to be accepted; options can relax the limits."""


class RecordError(Error):
    """A file in a record's place is not a record, or not one that this version can read."""


class InfoError(Error):
    """A path is nothing that this program writes, or is damaged."""


class EvalError(Error):
    """Predictions and labels cannot be compared."""


class ChartError(Error):
    """Charts cannot be drawn."""


class ThresholdsError(Error):
    """A file of thresholds cannot be used."""


class ViewError(Error):
    """The page cannot be shown."""


class ReportError(Error):
    """A report cannot be written."""
