"""Expected failures above the byte level: the command line prints their line and exits with 2.

Their lines name options as keywords of the API's functions, between backquotes: `overwrite=True`.
The command line respells these as they are typed.
"""

from __future__ import annotations

from shards.errors import Error


class OptionError(Error):
    """An option's value is out of its range, or contradicts another option."""


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
