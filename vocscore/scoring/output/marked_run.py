"""What all processes of a run share: its plan, its number, its inputs, and who began it.

plan.json           created once: the plan, the run's own number, and the listing of the inputs
listing-...         the inputs, named by their hash, so that no other process lists them again
started-RUN.json    the record as far as the first process knew it
array-RUN.json      the array of jobs that the first one is a part of
"""

from __future__ import annotations

import json
import secrets
import tempfile
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from vocscore.errors import ScoreError
from vocscore.scoring.inputs.saved import ListingError, read_inputs, write_inputs
from vocscore.scoring.output.marks import is_ours
from vocscore.scoring.output.posix_files import NoLinksError
from vocscore.scoring.output.verified import hashed_open

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from vocscore.scoring.inputs.units import Inputs
    from vocscore.scoring.output.files import Files

PLAN: Final = "plan.json"
PARTS: Final = "parts"
"""In a plan: how parts are committed; missing where one process does."""
_RUN: Final = "run"
_LISTING: Final = "listing_file"


class LeftBehindError(ScoreError):
    """The parts were merged or removed while this process was scoring: nothing is left to do."""


class MarkedRun:
    """The run in a folder of parts.

    Args:
        files: the folder.
        place: the output, as messages name it.

    Attributes:
        number: drawn when the run began; '' until the plan was read.
    """

    def __init__(self, files: Files, place: str) -> None:
        self.number = ""
        self._files = files
        self._place = place
        self._listing = ""

    def plan(self) -> dict[str, Any] | None:
        """Read the plan that stands; None if there is none.

        Raises:
            ScoreError: it is damaged.
        """
        try:
            with self.using():
                plan = dict(json.loads(self._files.read(PLAN)).items())
            if PARTS in plan or _RUN in plan:
                self.number, self._listing = str(plan.pop(_RUN)), str(plan.pop(_LISTING))
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, AttributeError) as error:  # not JSON, not ours, not an object
            raise ScoreError(
                f"{self._files.place}/{PLAN}: damaged, so the run cannot be resumed. {self._cure()}"
            ) from error
        found: dict[str, Any] = plan
        return found

    def begin(self, plan: Mapping[str, Any]) -> None:
        """Store the plan, unless another process was faster. `freeze` comes before.

        Raises:
            ScoreError: there are files of something else.
        """
        with self.using():
            others = (n for n in self._files.names() if not is_ours(n) and n != "lock")
            other = min(others, default=None)
            if other is not None:
                raise ScoreError(
                    f"{self._files.place}: needed for the parts of this run, but it contains "
                    f"{other}. Move it away, or choose another `output`."
                )
            whole = {**plan, _RUN: secrets.token_hex(6), _LISTING: self._listing}
            self._files.create(PLAN, json.dumps(whole, indent=1).encode("ascii"))

    def freeze(self, inputs: Inputs) -> None:
        """Store the inputs for all processes of the run that is about to begin."""
        with tempfile.TemporaryFile() as file, self.using():  # no name: a kill leaves nothing
            write_inputs(inputs, file)
            file.seek(0)
            self._listing = f"listing-{hashed_open(file)[0][:16]}"
            file.seek(0)
            self._files.open()
            self._files.put_file(self._listing, file)

    def inputs(self) -> Inputs:
        """Read the inputs of the run, whose plan has been read.

        Raises:
            ScoreError: they are damaged or gone.
        """
        with self.using():
            try:
                return read_inputs(self._files.local(self._listing))
            except (ListingError, FileNotFoundError) as error:
                if not self._files.exists(PLAN):  # merged meanwhile
                    raise
                raise ScoreError(
                    f"{self._files.place}/{self._listing}: the list of the inputs is damaged or "
                    f"gone, so the run cannot be finished. {self._cure()}"
                ) from error

    def start(self, record: bytes) -> None:
        """Store the record of the first process; those of others are not needed."""
        with self.using():
            self._files.create(f"started-{self.number}.json", record)

    def started(self) -> bytes:
        """Read the record of the first process.

        Raises:
            FileNotFoundError: no process has got so far.
        """
        with self.using():
            return self._files.read(f"started-{self.number}.json")

    def put_array(self, array: Mapping[str, Any]) -> None:
        """Store the array of jobs, if this is the first one."""
        with self.using():
            self._files.create(f"array-{self.number}.json", json.dumps(array).encode("ascii"))

    def array(self) -> dict[str, Any] | None:
        """Read the array of jobs that began the run; None if it was none.

        Raises:
            ScoreError: it is damaged.
        """
        name = f"array-{self.number}.json"
        try:
            with self.using():
                found: dict[str, Any] = json.loads(self._files.read(name))
        except FileNotFoundError:
            return None
        except ValueError:
            found = {}
        if not _is_array(found):
            raise ScoreError(
                f"{self._files.place}/{name}: damaged. Remove it; a job stores it again."
            )
        return found

    def _cure(self) -> str:
        return f"Remove {self._files.place} to start over, or choose another `output`."

    @contextmanager
    def using(self) -> Iterator[None]:
        """Turn errors of the folder into one line.

        Raises:
            LeftBehindError: the run is gone.
            ScoreError: something cannot be written or read.
            FileNotFoundError: a file is missing, but the run is there.
        """
        try:
            yield
        except NoLinksError as error:
            raise ScoreError(
                f"{self._files.place}: its file system has no links "
                f"({str(error.strerror).lower()}), so two processes could commit one unit. Choose "
                "an `output` on another file system."
            ) from error
        except FileNotFoundError as error:
            if self.number and not self._files.exists(PLAN):
                raise LeftBehindError(
                    f"{self._place}: its parts were merged or removed meanwhile, so nothing is "
                    "left to do here."
                ) from error
            raise
        except OSError as error:
            raise ScoreError(
                f"{error.filename or self._files.place}: cannot be written or read: "
                f"{str(error.strerror).lower()}. Finished units stay in {self._files.place}. "
                "Rerun the same command to resume."
            ) from error


def _is_array(found: Any) -> bool:
    """Whether it is what `Share.array` returns."""
    if not isinstance(found, dict) or "variable" not in found:
        return False
    least = {"of": 1, "step": 1, "first": 0}
    return all(isinstance(found.get(key), int) and found[key] >= one for key, one in least.items())
