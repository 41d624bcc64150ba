"""Which units a process scores: `--units 3/16`, `auto` and `any`."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from vocscore.config.jobs import ANY, AUTO
from vocscore.errors import ScoreError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

UNITS: Final = "--units"
SLURM: Final = "SLURM_ARRAY_TASK_ID"
_STEP: Final = "SLURM_ARRAY_TASK_STEP"
_COUNTED: Final = (
    ("JOB_COMPLETION_INDEX", "JOB_COMPLETIONS", "Kubernetes"),
    ("AWS_BATCH_JOB_ARRAY_INDEX", "AWS_BATCH_JOB_ARRAY_SIZE", "AWS Batch"),
    ("RANK", "WORLD_SIZE", "torchrun or MPI"),
)
"""Variables that count from 0: the index, the number of jobs, and who sets them."""


@dataclass(frozen=True, slots=True)
class Share:
    """Every `of`-th unit, of all units, so that shares do not depend on what is done already.

    Attributes:
        index: from 0.
        of: the number of shares.
        first: what the scheduler calls the first share.
        step: from one share to the next, in the scheduler's numbers.
        variable: the environment variable that told; None: it was typed.
    """

    index: int
    of: int
    first: int = 1
    step: int = 1
    variable: str | None = None

    def __str__(self) -> str:
        """Return it as it is typed."""
        return f"{self.index + 1}/{self.of}"

    def has(self, number: int) -> bool:
        """Whether a unit belongs to it."""
        return number % self.of == self.index

    def array(self) -> dict[str, Any]:
        """The array that it is a part of, as plain values."""
        return {
            "of": self.of,
            "first": self.first,
            "step": self.step,
            "variable": self.variable,
        }


def share_of(
    text: str, environ: Mapping[str, str], *, array: Mapping[str, Any] | None = None
) -> Share | None:
    """Find the share of this process.

    Args:
        text: the value of `--units`, which was checked.
        environ: the environment variables, for 'auto'.
        array: the array that began the run, if another process did: then a part of it that is
            started again (`sbatch --array=3,7-9`) has the shares that it had.

    Returns:
        The share; None for 'any'.

    Raises:
        ScoreError: 'auto', and no variable tells, or those that do contradict each other.
    """
    if text == ANY:
        return None
    if text != AUTO:
        number, of = (int(part) for part in text.split("/"))
        return Share(number - 1, of)
    if SLURM in environ:
        return _slurm(environ, array)
    for index, count, _ in _COUNTED:
        if index in environ:
            return _counted(environ, index, count)
    names = ", ".join([f"{SLURM} (SLURM)", *(f"{name} ({who})" for name, _, who in _COUNTED)])
    raise ScoreError(
        f"`units='auto'`: none of its variables is set: {names}. Start it as a job of an array, or "
        "give the share, such as `units='3/16'`."
    )


def _counted(environ: Mapping[str, str], index: str, count: str) -> Share:
    number = _number(environ, index)
    if count not in environ:
        raise ScoreError(
            f"`units='auto'`: {index} is {number}, but {count}, the number of jobs, is not set. "
            f"Set it in the job's environment, or give share {number + 1} of them as `units`."
        )
    of = _number(environ, count)
    if not 0 <= number < of:
        raise ScoreError(f"`units='auto'`: {index} is {number}, but {count} is {of}.")
    return Share(number, of, first=0, variable=index)


def _slurm(environ: Mapping[str, str], array: Mapping[str, Any] | None) -> Share:
    """Convert SLURM's task, which counts as the user wishes: `--array=10-40:10`."""
    names = [f"SLURM_ARRAY_TASK_{end}" for end in ("ID", "COUNT", "MIN", "MAX")]
    missing = [name for name in names if name not in environ]
    if missing:
        raise ScoreError(f"`units='auto'`: {SLURM} is set, but {missing[0]} is not.")
    task, count, first, last = (_number(environ, name) for name in names)
    if array is not None and array["variable"] == SLURM:
        was_first, step, of = array["first"], array["step"], array["of"]
        was_last = was_first + (of - 1) * step
        again = (first, last, count) != (was_first, was_last, of)
        if again and was_first <= first and last <= was_last and not (task - was_first) % step:
            return Share((task - was_first) // step, of, was_first, step, SLURM)
    step = _number(environ, _STEP) if _STEP in environ else (last - first) // max(count - 1, 1) or 1
    if step < 1 or first + (count - 1) * step != last or (task - first) % step:
        raise ScoreError(
            f"`units='auto'`: the {count} tasks of this SLURM array ({first} to {last}) are not "
            f"evenly spaced, so the share of task {task} is not known. Give it, such as "
            f"`units='{task}/N'`."
        )
    return Share((task - first) // step, count, first, step, SLURM)


def _number(environ: Mapping[str, str], name: str) -> int:
    try:
        return int(environ[name])
    except ValueError:
        raise ScoreError(f"`units='auto'`: {name} is {environ[name]!r}, not a number.") from None


def array_expression(shares: Iterable[int], *, first: int = 1, step: int = 1) -> str:
    """Write shares (from 0) as schedulers take them: '3,7-9'.

    Args:
        shares: from 0.
        first: what the scheduler calls share 0.
        step: from one share to the next, in the scheduler's numbers.
    """
    runs: list[list[int]] = []
    for number in sorted(first + share * step for share in set(shares)):
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in runs)


def with_units(command: str, units: str) -> str:
    """Return a command, as it was recorded, with another value of `--units`."""
    words = shlex.split(command)
    found = False
    for at, word in enumerate(words):
        if word == UNITS and at + 1 < len(words):
            words[at + 1], found = units, True
        elif word.startswith(f"{UNITS}="):
            words[at], found = f"{UNITS}={units}", True
    return shlex.join(words if found else [*words, UNITS, units])
