"""One meaning of 'difficult' for the loss, average precision and the counts."""

from __future__ import annotations

import numpy as np
import pytest
import sklearn.metrics
from drawn_tables import draw

from vocscore.errors import EvalError
from vocscore.evaluation.difficult import DIFFICULT_RULES, apply_difficult
from vocscore.evaluation.metrics import report


def test_only_the_difficult_change() -> None:
    """1 and 0 stay what they are; -1 becomes what the rule says; the type stays int8."""
    labels = np.array([[1, 0, -1], [-1, 1, 0]], dtype=np.int8)
    found = {rule: apply_difficult(labels, rule) for rule in DIFFICULT_RULES}
    assert found["ignore"].tolist() == [[1, 0, -1], [-1, 1, 0]]
    assert found["positive"].tolist() == [[1, 0, 1], [1, 1, 0]]
    assert found["negative"].tolist() == [[1, 0, 0], [0, 1, 0]]
    assert {table.dtype for table in found.values()} == {np.dtype(np.int8)}


def test_another_rule_is_refused() -> None:
    """A rule that is none of the three is named."""
    with pytest.raises(EvalError, match="'drop' is not one of ignore, positive, negative"):
        apply_difficult(np.zeros((1, 1), np.int8), "drop")


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("rule", ["positive", "negative"])
def test_figures_of_other_papers_are_scikit_learns(seed: int, rule: str) -> None:
    """Counted as present or absent, difficult images enter as scikit-learn takes them."""
    labels, probabilities = draw(seed)
    truth = labels != 0 if rule == "positive" else labels == 1
    got = report(apply_difficult(labels, rule), probabilities, threshold=0.5)
    for c in np.flatnonzero(truth.any(0)):
        assert got.average_precision[c] == pytest.approx(
            sklearn.metrics.average_precision_score(truth[:, c], probabilities[:, c])
        )
    f1 = sklearn.metrics.f1_score(truth, probabilities >= 0.5, average="micro")
    assert got.micro.f1 == pytest.approx(f1)
