"""The result of `vocscore.evaluate`."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

from vocscore.errors import EvalError
from vocscore.evaluation.decision_tables import write_mistakes, write_suspects
from vocscore.evaluation.eval_report import EvalReport
from vocscore.evaluation.eval_text import eval_text
from vocscore.printed import Printed

if TYPE_CHECKING:
    import os
    from collections.abc import Callable


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Evaluation(EvalReport, Printed):
    """The metrics of predictions; `print` shows the table of `vocscore eval`."""

    @classmethod
    def of(cls, report: EvalReport) -> Evaluation:
        """Make the same report printable."""
        return cls(**{field.name: getattr(report, field.name) for field in fields(report)})

    def write_mistakes(self, file: str | os.PathLike[str]) -> int:
        """Write one row per wrong decision, as `vocscore eval --mistakes` does.

        Returns:
            The number of rows.

        Raises:
            Error: the file cannot be written.
        """
        return _written(write_mistakes, file, self)

    def write_suspects(self, file: str | os.PathLike[str]) -> int:
        """Write one row per label that the model contradicts, as `vocscore eval --suspects` does.

        Returns:
            The number of rows.

        Raises:
            Error: the file cannot be written.
        """
        return _written(write_suspects, file, self)

    def __str__(self) -> str:
        """The table that `vocscore eval` prints."""
        return eval_text(self)

    def __repr__(self) -> str:
        """Return one line, without the hundreds of metrics."""
        return f"Evaluation(mAP {self.figures.mean_average_precision:.3f})"


def _written(
    write: Callable[[Path, EvalReport], int], file: str | os.PathLike[str], report: EvalReport
) -> int:
    try:
        return write(Path(file), report)
    except OSError as error:
        raise EvalError(f"{file}: {str(error.strerror).lower()}.") from error
