"""The result of `vocscore.evaluate`."""

from __future__ import annotations

from dataclasses import dataclass, fields

from vocscore.evaluation.eval_report import EvalReport
from vocscore.evaluation.eval_text import eval_text
from vocscore.printed import Printed


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Evaluation(EvalReport, Printed):
    """The metrics of predictions; `print` shows the table of `vocscore eval`."""

    @classmethod
    def of(cls, report: EvalReport) -> Evaluation:
        """Make the same report printable."""
        return cls(**{field.name: getattr(report, field.name) for field in fields(report)})

    def __str__(self) -> str:
        """The table that `vocscore eval` prints."""
        return eval_text(self)

    def __repr__(self) -> str:
        """Return one line, without the hundreds of metrics."""
        return f"Evaluation(mAP {self.figures.mean_average_precision:.3f})"
