"""The tables of `vocscore eval` in 80 columns, whatever the classes are called."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from drawn_tables import draw

from vocscore.evaluation.bootstrap import bootstrap
from vocscore.evaluation.calibration import reliability
from vocscore.evaluation.eval_report import ComparedDecisions, EvalReport, SplitCounts, Training
from vocscore.evaluation.eval_text import eval_text
from vocscore.evaluation.metrics import report
from vocscore.evaluation.mistakes import missed_together
from vocscore.text_width import cells

WIDE = "\u732b\u3068\u72ac"


def reported(names: list[str], *, images: int = 40, resamples: int = 5) -> EvalReport:
    """What is found of drawn predictions of classes with these names."""
    labels, probabilities = draw(3, images=images, classes=len(names))
    decided = probabilities >= 0.5
    figures = report(labels, probabilities, threshold=0.5)
    made = bootstrap(labels, probabilities, decided, resamples=max(resamples, 1), seed=0)
    return EvalReport(
        classes=tuple(names),
        splits=("val",),
        labeled=images,
        missing=(),
        failed=(),
        unlabeled=0,
        matched_as=None,
        training=Training("model", "run", 0, 0, (), {}, {"val": SplitCounts(images, images, 0)}),
        difficult="ignore",
        figures=figures,
        intervals=made if resamples else None,
        calibration=reliability(labels, probabilities),
        missed=missed_together(labels, decided),
        decisions=ComparedDecisions((), labels, probabilities, decided, None),
    )


def names_of(kind: str, classes: int) -> list[str]:
    return {
        "short": [f"c{n}" for n in range(classes)],
        "long": [f"synthetic category of agricultural machinery {n}" for n in range(classes)],
        "wide": [f"{WIDE * 8}{n}" for n in range(classes)],
    }[kind]


@pytest.mark.parametrize("resamples", [0, 5])
@pytest.mark.parametrize("kind", ["short", "long", "wide"])
@pytest.mark.parametrize("classes", [1, 20, 300])
def test_every_line_fits_a_terminal(classes: int, kind: str, resamples: int) -> None:
    """No line is wider than 80 columns, and the lines of a table are of one width."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of classes without positives
        got = reported(names_of(kind, classes), images=12, resamples=resamples)
    text = eval_text(got)
    assert max(map(cells, text.splitlines())) <= 80
    table, averages = text.split("\n\n")[1:3]
    assert len(table.splitlines()) == classes + 2
    for block in (table, averages):
        assert len({cells(line) for line in block.splitlines()}) == 1


def test_a_long_name_keeps_its_ends_and_is_whole_in_the_json() -> None:
    """What tells it from its neighbors is most often at the end."""
    names = names_of("long", 20)
    got = reported(names)
    lines = eval_text(got).split("\n\n")[1].splitlines()[1:-1]
    assert all(line.startswith("synthetic") for line in lines)
    assert [line.split()[-9] for line in lines] == [str(n) for n in range(20)]
    assert list(got.to_json()["classes"]) == names


def test_many_images_widen_one_column_only() -> None:
    """Counts of seven digits leave the names less room, and the table in its place."""
    got = reported(names_of("long", 3))
    got.figures.per_class.positives[:] = np.array([1_234_567, 2, 3])
    table = eval_text(got).split("\n\n")[1].splitlines()
    assert {cells(line) for line in table} == {80}
    assert "  1234567  " in table[1]
