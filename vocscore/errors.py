"""Known failures above the bytes: the command line shows their one line and exits with 2."""

from __future__ import annotations

from shards.errors import Error


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


class RecordError(Error):
    """What stands in the place of a record is none, or none that this version reads."""


class EvalError(Error):
    """Predictions and labels cannot be compared."""


class ChartError(Error):
    """Charts cannot be drawn."""
