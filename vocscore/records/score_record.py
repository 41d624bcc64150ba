"""The record beside predictions: the model, what it scored, when, and its training data.

Predictions do not name their model. Therefore `predictions.csv` has `predictions.csv.json` beside
it, and a folder `predictions/` of parts has `predictions.json`. The record is written last, with
the output, and a new output replaces it. A resume does not read it, and predictions without one are
equally valid; only with it, `score` recognizes an output as its own, and can update it.
"""

from __future__ import annotations

import json
from dataclasses import MISSING, asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, Final

from shards.files import read_regular
from vocscore.errors import RecordError
from vocscore.records.trained_on import TrainedOn

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

FORMAT: Final = "vocscore predictions"
VERSION: Final = 1
STARTED: Final = "started.json"
"""The record of an unfinished run, in its work folder: with the facts known at its start."""


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """The model that scored.

    Attributes:
        given: its folder, as it was named.
        path: absolute.
        sha256: of the checkpoint, as `checkpoint_hash`.
        precision: of its arithmetic: 'float32', 'bf16' or 'int8'.
        preprocess: `Preprocess.to_json`.
        threshold: of the labels; one number, or one per class.
        classes: in column order.
        backbone: its name; None in records of older versions.
        activation: of its probabilities, 'softmax' or 'none'; None: the sigmoid.
    """

    given: str
    path: str
    sha256: str
    precision: str
    preprocess: Mapping[str, Any]
    threshold: float | tuple[float, ...]
    classes: tuple[str, ...]
    backbone: str | None = None
    activation: str | None = None

    @property
    def rule(self) -> str:
        """The activation, as `decide` takes it."""
        return self.activation or "sigmoid"


@dataclass(frozen=True, slots=True)
class ScoreRecord:
    """Facts about predictions, finished or in progress.

    Attributes:
        vocscore: version of this program.
        libraries: name -> version, of those that affect probabilities; and of Python.
        command: as it was typed; None if called from Python.
        started: start of the run that finished the output, ISO 8601, UTC.
        finished: when the rows were complete, the same; None while they are not.
        model: that scored.
        source: what was scored: 'given', 'path', 'listing' (sha256), 'include', 'exclude'.
        settings: settings besides the model that affect bytes: loader, device, unit size, limits.
        output: 'format', 'folder', 'bytes', and the selected parts of a row.
        rows: how many.
        resumed: how many of them an earlier run had scored.
        errors: reason -> rows with that error.
        trained_on: the model's training data; None if its folder does not say.
        seconds: duration of the run that finished the output, from the first image on; None while
            it runs, and like the fields below in records of older versions.
        files_sha256: of the stamps beside the output; None if there are none.
        update: what `score --update` reused: numbers of rows 'reused', 'new', 'changed',
            'retried', 'dropped', 'kept'; None if every row was scored by the same command.
        folds: every image was scored by a head that was not trained on it, and there were this many
            of them, trained like the model's; None: the model scored.
    """

    vocscore: str
    libraries: Mapping[str, str]
    command: str | None
    started: str
    finished: str | None
    model: ModelFacts
    source: Mapping[str, Any]
    settings: Mapping[str, Any]
    output: Mapping[str, Any]
    rows: int
    resumed: int
    errors: Mapping[str, int]
    trained_on: TrainedOn | None
    seconds: float | None = None
    files_sha256: str | None = None
    update: Mapping[str, int] | None = None
    folds: int | None = None

    def to_json(self) -> dict[str, Any]:
        """Convert to plain values, with the format's name and version first."""
        found = {"format": FORMAT, "version": VERSION, **asdict(self)}
        if self.model.activation is None:
            del found["model"]["activation"]
        return found

    def to_bytes(self) -> bytes:
        """The file: indented JSON in ASCII; bytes of names that are not text are escaped."""
        return (json.dumps(self.to_json(), indent=1) + "\n").encode("ascii")

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> ScoreRecord:
        """The inverse of `to_json`; unknown keys are ignored.

        Raises:
            KeyError, TypeError, ValueError: it is not a record, or of a newer version.
        """
        if value["format"] != FORMAT:
            raise ValueError(f"format {value['format']!r} is not {FORMAT!r}")
        if value["version"] != VERSION:
            raise ValueError(f"version {value['version']!r} is not supported (only {VERSION})")
        found = _fields_of(cls, value)
        facts = _fields_of(ModelFacts, value["model"])
        facts["classes"] = tuple(facts["classes"])
        if isinstance(facts["threshold"], list):
            facts["threshold"] = tuple(facts["threshold"])
        trained_on = value["trained_on"]
        found["model"] = ModelFacts(**facts)
        found["trained_on"] = None if trained_on is None else TrainedOn.from_json(trained_on)
        if type(found["folds"]) not in (int, type(None)):
            raise TypeError("folds must be a number")
        if not isinstance(found["rows"], int) or not isinstance(facts["sha256"], str):
            raise TypeError("rows must be a number, and the model's sha256 text")
        return cls(**found)


def _fields_of(kind: type[Any], value: Mapping[str, Any]) -> dict[str, Any]:
    """Take the fields of a dataclass; None for those that older versions did not write.

    Raises:
        KeyError: a field without a default is missing.
    """
    return {
        one.name: value[one.name] if one.default is MISSING else value.get(one.name)
        for one in fields(kind)
    }


def record_file(output: Path) -> Path:
    """The path of an output's record.

    Args:
        output: a file of predictions, or a folder of parts.
    """
    named = output if output.name not in {"", ".."} else output.resolve()
    return named.with_name(f"{named.name}.json")


def read_record(file: Path) -> ScoreRecord | None:
    """Read a record.

    Args:
        file: as `record_file` returns it.

    Returns:
        The record; None if the file does not exist.

    Raises:
        RecordError: it is another file, damaged, or of a newer version.
    """
    try:
        value = json.loads(read_regular(file))
        return ScoreRecord.from_json(value)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise RecordError(f"{file}: {str(error.strerror).lower()}") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        what = f"no field {error}" if isinstance(error, KeyError) else str(error)
        raise RecordError(f"{file}: not a record of predictions ({what})") from error


def is_record(file: Path) -> bool:
    """Whether a file claims to be a record, of any version, damaged or not."""
    try:
        value = json.loads(read_regular(file))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(value, dict) and value.get("format") == FORMAT
