"""Fine-tuning beside the usual loop, on a small network and small images."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import torch

from bench import finetune

if TYPE_CHECKING:
    from bench.contests import Options


@pytest.fixture
def small(options: Options, monkeypatch: pytest.MonkeyPatch) -> Options:
    """Sixty thumbnails of 64 pixels: three steps."""
    monkeypatch.setattr(finetune, "SIZE", 64)
    return replace(options, images=86, kind="thumbnails")


def test_both_train_the_same_network(small: Options) -> None:
    """Both have a rate, and their networks agree after an epoch."""
    (outcome,) = finetune.run(small)
    assert set(outcome.rates) == {finetune.USUAL, finetune.OURS}
    found = outcome.facts["agreement"]
    assert isinstance(found, dict)
    assert found["largest_difference"] < 0.01


def test_a_loop_that_trains_less_is_refused(
    small: Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A loop whose steps are shorter ends at another network, which is noticed."""
    before = finetune.UsualTraining.__init__

    def slower(self: finetune.UsualTraining, *words: Any, **options: Any) -> None:
        before(self, *words, **options)
        self._optimizer = torch.optim.SGD(self.network.parameters(), lr=0.0)

    monkeypatch.setattr(finetune.UsualTraining, "__init__", slower)
    with pytest.raises(ValueError, match="beyond"):
        list(finetune.run(small))
